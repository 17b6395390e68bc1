"""Runs the commands of a runbook as somebody would who pastes them into a shell."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

COMMAND_S_MAX = 60.0
"""Longer than any command of a runbook may take: who reads it has no patience left."""

STRICT = "set -euo pipefail\n"


class CommandFailed(AssertionError):
    """A command of a runbook did not work; the message has the command and what it said."""


@dataclass(frozen=True, slots=True)
class Shell:
    """A shell in a directory, with the site's variables; ``preamble`` is pasted before each command."""

    preamble: str
    directory: Path

    async def run(self, command: str, variables: Mapping[str, str], within_s: float = COMMAND_S_MAX) -> str:
        """Return what a command printed on stdout; CommandFailed if it failed, or took too long."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", f"{STRICT}{self.preamble}\n{command}"),
            cwd=self.directory,
            env=dict(variables),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,
        )
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(), within_s)
        except TimeoutError:
            raise CommandFailed(f"still running after {within_s:g} s:\n{command}") from None
        finally:
            with suppress(ProcessLookupError):  # what it started too, or its pipes stay open
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()
        if process.returncode:
            said = f"{stdout.decode(errors='replace')}{stderr.decode(errors='replace')}"
            raise CommandFailed(f"exit code {process.returncode}:\n{command}\nsaid:\n{said}")
        return stdout.decode(errors="replace")
