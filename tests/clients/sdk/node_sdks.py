"""Run the scripts of ``tests/clients/sdk/node``."""

import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.clients.sdk.seen import SdkResult
from tests.kit.user_process import run_to_end

HOME = Path(__file__).parent
MODULES = HOME / "node_modules"
NODE_MIN = (22, 12)
"""What the newest of the SDKs ask for. On Linux the lock brings a Node.js of its own."""

RUN_S = 45.0
ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}

Case = Mapping[str, Any]


def case(
    url: str,
    query: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
) -> Case:
    """Return a case in the form that the scripts read."""
    return {"url": url, "query": dict(query or {}), "headers": dict(headers or {}), "method": method}


@cache
def missing() -> str:
    """Return what is missing and how to install it; empty: nothing is."""
    if not (MODULES / "openai").is_dir():
        return "needs the JavaScript SDKs: npm ci in tests/clients/sdk, or make test"
    if _version(node()) < NODE_MIN:
        return f"needs Node.js {'.'.join(map(str, NODE_MIN))} or newer: nodejs.org, or npm ci on Linux"
    return ""


@cache
def node() -> str:
    """Return the path of Node.js, the lock's own first, or ""."""
    own = MODULES / f"node-linux-{ARCHITECTURES.get(platform.machine(), '')}" / "bin" / "node"
    return str(own) if own.exists() else shutil.which("node") or ""


def _version(program: str) -> tuple[int, ...]:
    if not program:
        return ()
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=RUN_S)
    return tuple(int(part) for part in said.stdout.strip().removeprefix("v").split(".")[:2])


async def run(script: str, *cases: Case) -> list[SdkResult]:
    """Let a script read all cases at once; AssertionError with what it said if it fails."""
    command = (node(), HOME / "node" / f"{script}.mjs", json.dumps(cases))
    ended = await run_to_end(*command, within_s=RUN_S, stderr=subprocess.PIPE)
    assert ended.code == 0, ended.stderr
    return [SdkResult(**one) for one in json.loads(ended.stdout)]
