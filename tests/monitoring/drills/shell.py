"""Runs the commands of a runbook as somebody would who pastes them into a shell."""

from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.kit.deadline import Overdue
from tests.kit.user_process import run_to_end

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
        try:
            ended = await run_to_end(
                *("bash", "-c", f"{STRICT}{self.preamble}\n{command}"),
                within_s=within_s,
                cwd=self.directory,
                env=dict(variables),
                stdin=DEVNULL,
                stderr=PIPE,
                start_new_session=True,
            )
        except Overdue:
            raise CommandFailed(f"still running after {within_s:g} s:\n{command}") from None
        if ended.code:
            said = f"{ended.stdout}{ended.stderr}"
            raise CommandFailed(f"exit code {ended.code}:\n{command}\nsaid:\n{said}")
        return ended.stdout
