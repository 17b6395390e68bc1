"""Run Node.js: the system's own if it is new enough, or that of the lock."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.clients.sdk import node_sdks
from tests.kit.user_process import run_to_end

HOME = Path(__file__).parent
ROOT = HOME.parents[2]
CLIENT = ROOT / "sidecar" / "client" / "js"
NODE_MAJOR_MIN = 20
TOOLS = ("typescript", "esbuild", "eventsource-parser")
SAID_CHARS_MAX = 20_000


@cache
def node() -> str:
    """Return the path of the Node.js to run; empty if there is none."""
    return next(
        (program for program in (shutil.which("node") or "", node_sdks.node()) if _is_new(program)), ""
    )


def _is_new(program: str) -> bool:
    if not program:
        return False
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=30)
    version = re.match(r"v(\d+)", said.stdout)
    return version is not None and int(version[1]) >= NODE_MAJOR_MIN


@cache
def nodes() -> list[str]:
    """Return every Node.js that there is: they do not all decode alike."""
    return sorted({program for program in (node(), node_sdks.node()) if program})


@cache
def missing() -> str:
    """Return what is missing and how to install it; empty: nothing is."""
    return (
        ""
        if node()
        else f"needs Node.js {NODE_MAJOR_MIN} or newer: nodejs.org, or npm ci in tests/clients/sdk"
    )


def missing_tools() -> str:
    """Return the missing npm packages and how to install them, or ""."""
    if not all((node_sdks.MODULES / name).is_dir() for name in TOOLS):
        return f"needs {', '.join(TOOLS)}: npm ci in tests/clients/sdk, or make test"
    return missing()


async def run(*arguments: str | Path, within_s: float, program: str = "") -> str:
    """Return what Node.js writes; AssertionError with all it said if it fails."""
    command = (program or node(), *map(str, arguments))
    ended = await run_to_end(*command, within_s=within_s, stderr=subprocess.STDOUT)
    assert ended.code == 0, ended.stdout[-SAID_CHARS_MAX:]
    return ended.stdout
