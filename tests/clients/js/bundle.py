"""Build the scripts that the sidecar serves, as `make client-js` does.

Each script is one ES module, made of the modules in ``sidecar/client/js/src``.
"""

import subprocess
import sys

from tests.clients.js.node import CLIENT, ROOT
from tests.clients.sdk import node_sdks

SCRIPTS = ("client.js", "status.js")
ESBUILD = node_sdks.MODULES / "esbuild" / "bin" / "esbuild"

INTERNAL = (
    "beginStream",
    "countConnection",
    "endInterruption",
    "expectByte",
    "fieldMs",
    "isEndMissing",
    "isEnded",
    "isErrorLast",
    "isFull",
    "isGet",
    "isImmediate",
    "isRepeatable",
    "isStalled",
    "isUnsent",
    "nextDelayMs",
    "noteLoss",
    "noteResponse",
    "notifyAll",
    "onComment",
    "onEvent",
    "onId",
    "onRetry",
    "orAborted",
    "readError",
    "resumePosition",
    "retryAfterMs",
    "stopTimer",
    "takeEvent",
)
"""Members that only modules of the client use of each other. The build shortens these names and no others."""

OPTIONS = (
    "--bundle",
    "--minify",
    "--format=esm",
    "--target=es2022",
    f"--mangle-props=^({'|'.join(INTERNAL)})$",
)
BUILD_S = 60.0


def build(name: str) -> bytes:
    """Return the script that the modules in ``src`` make now."""
    command = [str(ESBUILD), f"src/{name}", *OPTIONS]
    return subprocess.run(command, cwd=CLIENT, capture_output=True, check=True, timeout=BUILD_S).stdout


def main() -> None:
    """Write every script."""
    for name in SCRIPTS:
        (CLIENT / name).write_bytes(build(name))
        sys.stdout.write(f"{(CLIENT / name).relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
