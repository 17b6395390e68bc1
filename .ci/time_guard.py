"""Prove that a newer release of any package changes nothing: ``.venv/bin/python .ci/time_guard.py``.

It serves a local index that has each locked file, and beside it a newer release of the same package. From
that index alone it installs both locks, as a developer does, into fresh copies of the checkout. What is
installed must be the locked set: no other version, nothing missing, nothing that no requirement asks for.
"""

import base64
import hashlib
import http.server
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "sse-sidecar"
UV_LOCK = "requirements-uv.lock"
LOCKS = {"runtime": "requirements.lock", "dev": "requirements-dev.lock"}
GROUPS = {"runtime": ["build"], "dev": ["dev"]}
SEEDS = {"pip", "setuptools"}
"""What Python puts into each new environment."""

STEP_TIMEOUT_S = 240
OUTPUT_CHARS_MAX = 2_000


class Fault(Exception):
    """The locks do not keep what they promise; the message says where and what to do."""


def main() -> int:
    """Check both locks; return the exit status."""
    try:
        for lock in (UV_LOCK, *LOCKS.values()):
            check_lines(lock)
        print("each line of the locks pins one version by hash, without extras")
        with tempfile.TemporaryDirectory(prefix="sse-time-guard-") as folder:
            check_installs(Path(folder))
    except Fault as fault:
        print(fault, file=sys.stderr)
        print("The locks are made by: make lock", file=sys.stderr)
        return 1
    return 0


def requirements(lock: str) -> Iterator[tuple[str, str]]:
    """Yield each requirement of a lock, and what follows it: its hashes and options."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            requirement, *options = re.split(r"\s+(?=--)", line.strip(), maxsplit=1)
            yield requirement, " ".join(options)


def check_lines(lock: str) -> None:
    """Check that every line is ``name==version``, perhaps with a marker, and hashes; raise Fault."""
    for text, options in requirements(lock):
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise Fault(f"{lock}: {text}: not a requirement: {str(error).splitlines()[0]}") from error
        exact = re.fullmatch(r"==[^=*,]+", str(requirement.specifier))
        if not exact or requirement.url:
            raise Fault(f"{lock}: {text}: it pins no exact version, so a newer release would be installed")
        if requirement.extras:
            raise Fault(f"{lock}: {text}: an extra pulls in packages that the lock does not name")
        if not re.fullmatch(r"(--hash=sha256:[0-9a-f]{64}\s*)+", options):
            raise Fault(f"{lock}: {text}: it needs sha256 hashes and nothing else, but has: {options[:80]!r}")


def pinned_here(lock: str) -> dict[str, str]:
    """Return the versions by name that a lock pins for this Python and platform."""
    environment = {name: str(value) for name, value in default_environment().items()}
    found: dict[str, str] = {}
    for text, _ in requirements(lock):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            found[canonicalize_name(requirement.name)] = str(
                Version(str(requirement.specifier).removeprefix("=="))
            )
    return found


def check_installs(folder: Path) -> None:
    """Install both locks from an index with newer releases; raise Fault if anything else comes in."""
    files = folder / "files"
    files.mkdir()
    for lock in (UV_LOCK, LOCKS["dev"], LOCKS["runtime"]):
        with timed(f"downloading what {lock} names"):
            _download(lock, files)
    newer = {_newer(path, files) for path in sorted(files.glob("*.whl"))}
    print(f"the local index has {len(newer)} packages, each with a newer release")
    with index(files) as url:
        for name, lock in LOCKS.items():
            checkout = folder / name
            _copy_checkout(checkout)
            with timed(f"installing {lock} from the local index"):
                _install(checkout, name, url, folder / f"{name}-home")
            check_installed(checkout, name, lock)


def check_installed(checkout: Path, name: str, lock: str) -> None:
    """Compare what is installed with the lock, and with what the project requires; raise Fault."""
    (site,) = (checkout / ".venv" / "lib").glob("python3*/site-packages")
    found: dict[str, importlib.metadata.Distribution] = {
        canonicalize_name(each.name): each for each in importlib.metadata.distributions(path=[str(site)])
    }
    versions = {
        str(each): str(Version(found[each].version)) for each in found if each not in {*SEEDS, PROJECT}
    }
    pins = pinned_here(lock)
    for each in sorted(versions.keys() | pins.keys()):
        if versions.get(each) != pins.get(each):
            is_now, should_be = versions.get(each, "absent"), pins.get(each, "absent")
            raise Fault(f"{lock}: {each} is {is_now} after the installation, the lock says {should_be}")
    if surplus := sorted(pins.keys() - _required(found, name)):
        raise Fault(f"{lock}: nothing requires {', '.join(surplus)}")
    print(f"{lock}: exactly the {len(pins)} locked packages are installed")


def _required(found: dict[str, importlib.metadata.Distribution], name: str) -> set[str]:
    """Return the names that the project requires, and that those require; raise Fault if one is absent."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    direct = [*project["project"]["dependencies"]]
    groups = project["dependency-groups"]
    pending = [*GROUPS[name]]
    while pending:
        for entry in groups[pending.pop()]:
            if isinstance(entry, str):
                direct.append(entry)
            else:
                pending.append(entry["include-group"])
    reached: set[tuple[str, str]] = set()
    todo = [(Requirement(text), "") for text in direct]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        each = canonicalize_name(requirement.name)
        if each not in found:
            raise Fault(f"{LOCKS[name]}: {requirement} is required, but not installed")
        for wanted in {"", *requirement.extras}:
            if (each, wanted) not in reached:
                reached.add((each, wanted))
                todo += [(Requirement(text), wanted) for text in found[each].requires or []]
    return {each for each, _ in reached}


def _download(lock: str, files: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    _run([*command, "--only-binary=:all:", "--require-hashes", "--dest", str(files), "-r", lock], ROOT, None)


def _newer(wheel: Path, files: Path) -> str:
    """Write an empty wheel of the same package, one release newer; return the package's name."""
    name, version, *_ = parse_wheel_filename(wheel.name)
    later = version.base_version if version.is_prerelease else f"{version.base_version}.1"
    stem = f"{name.replace('-', '_')}-{later}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {later}\n"
    extras = re.findall(r"^Provides-Extra: .+$", _metadata_of(wheel), re.MULTILINE)
    members = {
        f"{stem}.dist-info/METADATA": "\n".join([metadata.rstrip(), *extras, ""]),
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{member},sha256={_digest(text)},{len(text)}" for member, text in members.items()]
    members[f"{stem}.dist-info/RECORD"] = "\n".join([*record, f"{stem}.dist-info/RECORD,,", ""])
    with zipfile.ZipFile(files / f"{stem}-py3-none-any.whl", "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    return name


def _metadata_of(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (member,) = (each for each in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", each))
        return archive.read(member).decode()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@contextmanager
def index(files: Path) -> Iterator[str]:
    """Serve the files as a package index on loopback (the "simple" repository API); yield its URL."""
    simple = files.parent / "simple"
    for path in sorted(files.iterdir()):
        name = parse_wheel_filename(path.name)[0]
        page = simple / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with page.open("a", encoding="utf-8") as file:
            file.write(f'<a href="/files/{path.name}#sha256={digest}">{path.name}</a>\n')

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(files.parent))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple"
        finally:
            server.shutdown()


def _copy_checkout(target: Path) -> None:
    """Copy the files that git tracks, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def _install(checkout: Path, name: str, url: str, home: Path) -> None:
    """Run the installation of the Makefile, with no index but the local one and an empty cache."""
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": url,
        "PIP_NO_CACHE_DIR": "1",
        "UV_CACHE_DIR": str(home / "cache"),
        "UV_NO_CONFIG": "1",
    }
    _run(["make", f"PYTHON={sys.executable}", f".venv/.{name}"], checkout, environment)


def _run(command: list[str], folder: Path, environment: dict[str, str] | None) -> None:
    try:
        ran = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=STEP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Fault(f"{json.dumps(command)} timed out after {STEP_TIMEOUT_S} s") from error
    if ran.returncode != 0:
        raise Fault(f"{json.dumps(command)} failed:\n{ran.stdout[-OUTPUT_CHARS_MAX:]}")


@contextmanager
def timed(text: str) -> Iterator[None]:
    """Print what is done, and how long it took."""
    started = time.monotonic()
    print(text, end=" ", flush=True)
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"({time.monotonic() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
