"""Install the packages of a lock into .venv, nothing else, and the project on top.

``python3 .ci/install.py runtime|dev``, as the Makefile calls it. It runs before anything is installed, so
it needs nothing but the standard library.

uv installs each ``name==version`` line of the lock by its hash, from a wheel, and resolves nothing. pip
runs once to fetch uv itself, which has a lock of its own, and once to list the index and certificates that
this machine uses.
"""

from __future__ import annotations  # so that an older Python gets as far as the sentence about its version

import ast
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV_FOLDER = VENV / "uv"
UV = UV_FOLDER / "bin" / "uv"

PYTHON_MIN = (3, 11)
LOCKS = {"runtime": "requirements.lock", "dev": "requirements-dev.lock"}
UV_LOCK = "requirements-uv.lock"

STEP_TIMEOUT_S = 900
"""A step that takes longer is ended: a link that brings 250 KB/s is done by then."""

TICK_S = 1.0
REASON_LINES_MAX = 3
REASON_LINE_CHARS_MAX = 300
"""Bounds of the output of a failed command that is shown."""

NO_NETWORK = """\
The package index did not answer. Check the network. Behind a proxy, set HTTPS_PROXY. For an index of your
own, set PIP_INDEX_URL. Then run the command again."""
DISK_FULL = """\
The disk is full. The installation needs 1 GB. Free it, or let UV_CACHE_DIR and TMPDIR name a larger disk.
Then run the command again."""
CERTIFICATE = """\
The certificate of the index is not trusted, as behind a proxy that reads TLS. Set SSL_CERT_FILE and
PIP_CERT to the CA bundle of the proxy (PEM). Then run the command again."""
INDEX_LACKS = """\
The configured index has no file of a locked release. Name another one with PIP_INDEX_URL, or copy the release
to it. Then run the command again."""
OTHER_FILE = """\
A downloaded file differs from the locked one. Find out what the configured index serves before you install
from it."""
INCOMPLETE_LOCK = """\
A line of the lock has no exact version or no hash. Make the locks again with: make lock"""
NO_WHEEL = """\
A locked package has no wheel for this Python and platform. Nothing is built from source here, so a compiler
does not help. Use CPython 3.11 to 3.14 on Linux or macOS, as in: make PYTHON=/path/to/python3.12"""
NOT_WRITABLE = """\
The checkout cannot be written. Use one that you own. Then run the command again."""
NO_VENV = """\
This Python cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv"""
UNKNOWN = """\
The installation failed for the reason above. To start from nothing: make clean, then the command again."""

REMEDIES = (
    (r"No space left on device|os error 28", DISK_FULL),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid peer certificate|UnknownIssuer",
        CERTIFICATE,
    ),
    (r"[Hh]ash mismatch|DO NOT MATCH THE HASHES", OTHER_FILE),
    (r"pinned|one or more hashes|must have a hash", INCOMPLETE_LOCK),
    (r"no usable wheels|no wheels|--no-build|source distribution", NO_WHEEL),
    (r"Permission denied|Read-only file system", NOT_WRITABLE),
    (r"ensurepip", NO_VENV),
    (r"there is no version of|not found in the package registry", INDEX_LACKS),
    (
        r"[Cc]onnect|dns error|name resolution|[Cc]ould not resolve|[Ff]ailed to resolve|unreachable",
        NO_NETWORK,
    ),
    (r"[Tt]imed? ?out|error sending request|No route", NO_NETWORK),
    (r"No matching distribution", NO_NETWORK),
)
"""Patterns in the output of a failed command, each with its remedy; the first match counts."""


PIP_KEYS = frozenset(
    (
        *("index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "keyring-provider"),
        *("cert", "client-cert", "proxy", "timeout", "default-timeout", "retries"),
        *("cache-dir", "no-cache-dir"),
    )
)
"""The settings of pip that count here: how to reach the index, not what to install or where."""

UV_IGNORED = frozenset(
    (
        *("UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_WORKING_DIRECTORY", "UV_WORKING_DIR"),
        *("UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_EXCLUDE_NEWER", "UV_NO_VERIFY_HASHES"),
    )
)
"""Settings of uv that would install another set, or into another environment."""


class StepError(Exception):
    """A step's command failed; the argument is its output."""


class Step:
    """Print one line for a step: number, text, and its seconds. On a terminal the seconds count up."""

    def __init__(self, number: int, text: str) -> None:
        self._line = f"[{number}/4] {text}"
        self._started = time.monotonic()
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> None:
        print(self._line, end=" ", flush=True)
        if sys.stdout.isatty():
            self._ticker.start()

    def __exit__(self, kind: object, *_: object) -> None:
        self._done.set()
        if self._ticker.is_alive():
            self._ticker.join()
            print("\r" + self._line, end=" ")
        print("failed" if kind else f"({time.monotonic() - self._started:.1f} s)", flush=True)

    def _tick(self) -> None:
        while not self._done.wait(TICK_S):
            print(f"\r{self._line} {time.monotonic() - self._started:.0f} s", end=" ", flush=True)


def main(arguments: list[str]) -> int:
    """Install one lock; return the exit status."""
    if sys.version_info < PYTHON_MIN:
        print(
            f"sse-sidecar needs Python 3.11 or newer; {sys.executable} is {version_text()}.", file=sys.stderr
        )
        print("Name another one: make PYTHON=/path/to/python3.12 ...", file=sys.stderr)
        return 1
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        print(f"usage: python3 .ci/install.py {'|'.join(LOCKS)}", file=sys.stderr)
        return 2
    try:
        install(LOCKS[arguments[0]])
    except StepError as error:
        output = str(error).strip()
        for line in reason(output):
            print("    " + line, file=sys.stderr)
        print(remedy(output), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. The same command continues.", file=sys.stderr)
        return 130
    return 0


def install(lock: str) -> None:
    """Make .venv hold the packages of ``lock`` and the project; raise StepError."""
    with Step(1, f"environment .venv, Python {version_text()}"):
        if not works([PYTHON, "-m", "pip", "--version"], shows=f"(python {minor_text()})"):
            shutil.rmtree(VENV, ignore_errors=True)
            run([sys.executable, "-m", "venv", VENV], os.environ)
    settings = pip_settings()
    uv_version = pins(ROOT / UV_LOCK)["uv"]
    with Step(2, f"uv {uv_version}"):
        if not works([UV, "--version"], shows=uv_version):
            shutil.rmtree(UV_FOLDER, ignore_errors=True)
            run(
                [
                    PYTHON,
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-input",
                    "--no-deps",
                    "--only-binary=:all:",
                    "--require-hashes",
                    "--target",
                    UV_FOLDER,
                    "--requirement",
                    UV_LOCK,
                ],
                pip_environment(os.environ, settings),
            )
    environment = uv_environment(os.environ, settings)
    with Step(3, f"{lock}, {len(pins(ROOT / lock))} packages"):
        run(
            [UV, "pip", "sync", "--quiet", "--compile-bytecode", "--no-build", "--require-hashes", lock],
            environment,
        )
    with Step(4, "sse-sidecar, editable"):
        # --no-build-isolation: hatchling comes from the lock too.
        run(
            [
                UV,
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--no-build-isolation",
                "--no-index",
                "--editable",
                ".",
            ],
            environment,
        )


def pins(lock: Path) -> dict[str, str]:
    """Return the versions by name that a lock pins, for every platform."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def pip_settings() -> dict[str, str]:
    """Return the configuration that `pip install` has on this machine, by key."""
    listed = subprocess.run(
        [PYTHON, "-m", "pip", "config", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=STEP_TIMEOUT_S,
    ).stdout
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):  # a later one wins, as in pip
        for key, value in re.findall(rf"^{section}\.([a-z-]+)=(.*)$", listed, re.MULTILINE):
            found[key] = ast.literal_eval(value)
    return found


def pip_environment(environment: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for pip, without settings such as `user`."""
    result = {name: value for name, value in environment.items() if not name.startswith("PIP_")}
    result["PIP_CONFIG_FILE"] = os.devnull
    for key in PIP_KEYS & settings.keys():
        result[f"PIP_{key.upper().replace('-', '_')}"] = settings[key]
    return result


def uv_environment(environment: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for uv: settings of pip hold for uv, unless uv has its own."""
    result = {name: value for name, value in environment.items() if name not in UV_IGNORED}
    result["VIRTUAL_ENV"] = str(VENV)
    for key, name in (
        ("index-url", "UV_DEFAULT_INDEX"),
        ("cert", "SSL_CERT_FILE"),
        ("proxy", "HTTPS_PROXY"),
        ("default-timeout", "UV_HTTP_TIMEOUT"),
        ("timeout", "UV_HTTP_TIMEOUT"),
    ):
        if key in pip:
            result.setdefault(name, pip[key])
    if "SSL_CERT_FILE" not in result:
        result.setdefault("UV_SYSTEM_CERTS", "true")
    return result


def reason(output: str) -> list[str]:
    """Return the last lines of a command's output that name an error, or its last lines."""
    lines = output.splitlines()
    named = [line.strip() for line in lines if re.search("error|cause", line, re.IGNORECASE)]
    return [line[:REASON_LINE_CHARS_MAX] for line in (named or lines)[-REASON_LINES_MAX:]]


def remedy(output: str) -> str:
    """Return what to do about a command that printed this."""
    for pattern, sentence in REMEDIES:
        if re.search(pattern, output):
            return sentence
    return UNKNOWN


def works(command: Sequence[str | Path], shows: str = "") -> bool:
    """Return whether a program starts, and prints ``shows``."""
    try:
        ran = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=STEP_TIMEOUT_S,
        )
    except OSError:
        return False
    return ran.returncode == 0 and shows in ran.stdout


def run(command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    """Run a command in the checkout; raise StepError with its output if it fails."""
    try:
        ran = subprocess.run(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=STEP_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise StepError(f"{command[0]} timed out after {STEP_TIMEOUT_S} s") from error
    except OSError as error:
        raise StepError(f"{command[0]}: {error.strerror or error}") from error
    if ran.returncode != 0:
        raise StepError(ran.stdout or f"{command[0]} ended with status {ran.returncode}")


def minor_text() -> str:
    """Return this Python's version without its last number, as in 3.11."""
    return ".".join(str(number) for number in sys.version_info[:2])


def version_text() -> str:
    """Return this Python's version, as in 3.11.2."""
    return ".".join(str(number) for number in sys.version_info[:3])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
