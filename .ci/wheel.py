"""Build sdist and wheel, and run the wheel on each Python.

Each Python gets an empty environment outside the checkout: the locked runtime dependencies, then the wheel.
From there `sse-sidecar` runs `--version`, `serve` and `demo`. The oldest and the newest Python also run
`verify --quick`, which takes a minute and a half and mostly waits.

An installed interpreter is taken as it is. Otherwise, as root and with mmdebstrap, a Debian release with that
version is unpacked into a temporary folder. With CI=true each version that pyproject.toml names in a
classifier must run. Without it, a version that is not available is only reported.
"""

import http.client
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple
from urllib.parse import urlsplit

CHECKOUT = Path(__file__).resolve().parent.parent
UV = CHECKOUT / ".venv/uv/bin/uv"
LOCK = CHECKOUT / "requirements.lock"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"

# The Pythons to run, oldest first, and the Debian releases to take each from.
# Debian 12, which CI runs on, has 3.11 installed; no release has 3.12.
DEBIAN_RELEASES: dict[str, tuple[str, ...]] = {
    "3.11": (),
    "3.12": (),
    "3.13": ("trixie",),
    "3.14": ("forky", "sid"),
}

BUILD_S = 120.0
UNPACK_S = 180.0
INSTALL_S = 240.0
COMMAND_S = 60.0
START_S = 60.0
ANSWER_S = 60.0
STOP_S = 30.0
VERIFY_S = 360.0
AT_ONCE = 2  # Pythons at the same time, one for each of CI's cores
TAIL_LINES = 40

HOST = "127.0.0.1"
MESSAGES = ("one", "two", "three")
RESULTS = "verify-results/sse_test_results.json"


class StepFailed(Exception):
    """A step failed; the text says what happened and what to do."""

    def __init__(self, what: str, todo: str, output: str = "") -> None:
        tail = [f"  | {line}" for line in output.splitlines()[-TAIL_LINES:]]
        super().__init__("\n".join([f"  {what}", *tail, f"  To do: {todo}"]))


class Place(NamedTuple):
    """Where one Python runs: a folder outside the checkout."""

    version: str
    python: str
    uv: str
    folder: Path
    """The folder as this program sees it."""
    inside: Path
    """The same folder as the commands see it; another path in an unpacked Debian release."""
    enter: tuple[str, ...] = ()
    """The command that runs a command in an unpacked Debian release."""

    @property
    def sidecar(self) -> str:
        """Return the path of the installed program."""
        return str(self.inside / "venv/bin/sse-sidecar")

    @property
    def environment(self) -> dict[str, str]:
        """Return an environment with nothing of the checkout in it."""
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.inside), "LC_ALL": "C.UTF-8"}

    def run(self, *command: str, within_s: float, todo: str) -> str:
        """Run a command here and return its output."""
        return run(*self.enter, *command, within_s=within_s, todo=todo, cwd=self.folder, env=self.environment)

    def install(self, *arguments: str, todo: str) -> str:
        """Run uv here, with the machine's proxy, certificates and index."""
        env = {
            name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        }
        command = (*self.enter, self.uv, "pip", *arguments, "--python", str(self.inside / "venv/bin/python"))
        return run(*command, within_s=INSTALL_S, todo=todo, cwd=self.folder, env=env)


class Program:
    """A running `sse-sidecar` whose output is read line by line."""

    def __init__(self, place: Place, *arguments: str) -> None:
        self.name = arguments[0]
        self._printed: list[str] = []
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._process = subprocess.Popen(
            [*place.enter, place.sidecar, *arguments],
            cwd=place.folder,
            env=place.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._printed.append(line)
            self._lines.put(line)
        self._lines.put("")  # the end

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the match in the first line that has one."""
        until = time.monotonic() + START_S
        try:
            while line := self._lines.get(timeout=max(0.0, until - time.monotonic())):
                if found := re.search(pattern, line):
                    return found
        except Empty:
            raise self.failed(f"`{self.name}` did not print {pattern!r} within {START_S:g} s") from None
        raise self.failed(f"`{self.name}` ended before it printed {pattern!r}")

    def failed(self, what: str) -> StepFailed:
        """Return the error for this program, with the end of its output."""
        return StepFailed(
            what, f"run `sse-sidecar {self.name}` from an installed wheel", "".join(self._printed)
        )

    def stop(self) -> None:
        """Send SIGTERM and expect exit code 0 without a traceback."""
        self._process.terminate()
        try:
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise self.failed(f"`{self.name}` still ran {STOP_S:g} s after SIGTERM") from None
        if code:
            raise self.failed(f"`{self.name}` ended with exit code {code} after SIGTERM")
        if has_traceback("".join(self._printed)):
            raise self.failed(f"`{self.name}` printed a traceback")

    def end(self) -> None:
        """End the program if it still runs."""
        if self._process.poll() is None:
            end(self._process)


class Stub(http.server.BaseHTTPRequestHandler):
    """A backend that answers each GET with the messages as an event stream."""

    def do_GET(self) -> None:
        """Send the messages and close."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for message in MESSAGES:
            self.wfile.write(f"data: {message}\n\n".encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def main() -> int:
    """Run every step and return the exit code."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Programming Language :: Python :: (3\.\d+)\b", "\n".join(project["classifiers"]))
    with tempfile.TemporaryDirectory(prefix="sse-sidecar-wheel-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # apt's own user reads the Debian releases that are unpacked in it
        try:
            timed("requires-python", lambda: check_requires(project["requires-python"], named))
            timed("build", lambda: build(folder))
            timed("contents", lambda: check_contents(folder))
        except StepFailed as error:
            say(f"FAILED\n{error}")
            return 1
        ran, failed, missing = run_pythons(folder)
    lists = {"ran": ran, "failed": failed, "not run": missing}
    say("; ".join(f"{name}: {', '.join(versions) or 'none'}" for name, versions in lists.items()))
    unproved = [version for version in named if version in missing or version not in DEBIAN_RELEASES]
    if unproved and os.environ.get("CI") == "true":
        say(
            f"FAILED\n  pyproject.toml names Python {', '.join(unproved)} in a classifier; it did not run\n"
            "  To do: make this version available here, or remove its classifier"
        )
        return 1
    return 1 if failed else 0


def run_pythons(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Run the wheel on each Python; return which ran, which failed and which are not available."""
    ran: list[str] = []
    failed: list[str] = []
    missing: list[str] = []
    interpreters: dict[str, str | None] = {}
    for version in DEBIAN_RELEASES:
        python = find_python(version)
        if python is None and (reason := why_not_debian(version)):
            missing.append(version)
            say(f"{version}: NOT RUN: not on PATH, not below ~/.pyenv/versions; {reason}")
        else:
            interpreters[version] = python
    versions = list(interpreters)
    ends = (versions[0], versions[-1]) if versions else ()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tasks = {
            version: pool.submit(run_python, version, python, folder, verify=version in ends)
            for version, python in sorted(interpreters.items(), key=lambda item: item[0] not in ends)
        }
    for version in versions:
        try:
            ran.append(tasks[version].result())
        except StepFailed as error:
            failed.append(version)
            say(f"{version}: FAILED\n{error}")
    return ran, failed, missing


def build(folder: Path) -> str:
    """Build the sdist from the checkout and the wheel from the sdist."""
    todo = "`make lint` installs .venv with uv and the locked build tools; then run the command again"
    options = ("--no-build-isolation", "--offline", "--python", str(CHECKOUT / ".venv/bin/python"))
    run(str(UV), "build", *options, "--out-dir", str(folder / "dist"), within_s=BUILD_S, todo=todo)
    return ", ".join(sorted(path.name for path in folder.glob("dist/*.[tw]*")))


def wheel_of(folder: Path) -> Path:
    """Return the wheel that was built."""
    return next(folder.glob("dist/*.whl"))


def check_contents(folder: Path) -> str:
    """Compare the wheel to the package in git: the same files, and the licence."""
    tracked = set(
        run("git", "ls-files", "sidecar", within_s=COMMAND_S, todo="run this in a git checkout").split()
    )
    with zipfile.ZipFile(wheel_of(folder)) as archive:
        shipped = set(archive.namelist())
    metadata = {name.partition(".dist-info/")[2] for name in shipped if ".dist-info/" in name}
    package = {name for name in shipped if ".dist-info/" not in name}
    wrong = [f"not in the wheel: {name}" for name in sorted(tracked - package)]
    wrong += [f"in the wheel, not in git: {name}" for name in sorted(package - tracked)]
    wrong += [f"not in the wheel: {name}" for name in {"licenses/LICENSE", "entry_points.txt"} - metadata]
    if wrong:
        raise StepFailed(
            "the wheel and git differ", "commit the files, or correct [tool.hatch.build]", "\n".join(wrong)
        )
    return f"{len(package)} files of the package"


def check_requires(requires: str, named: list[str]) -> str:
    """Compare requires-python to the oldest version in the classifiers."""
    if not named or requires != f">={named[0]}":
        todo = "name the same oldest version in both, in pyproject.toml"
        raise StepFailed(
            f"requires-python is {requires}, the classifiers name {', '.join(named) or 'no version'}", todo
        )
    return requires


def find_python(version: str) -> str | None:
    """Return an installed interpreter of the version, or None."""
    folders = [Path(name) for name in os.get_exec_path()]
    folders += sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin"))
    for path in (folder / f"python{version}" for folder in folders):
        try:  # a version manager's stand-in is there for every version, but does not start each
            if path.exists() and version_of(str(path)).startswith(f"{version}."):
                return str(path)
        except StepFailed:
            continue
    return None


def version_of(*python: str) -> str:
    """Return the whole version of an interpreter, such as 3.13.5."""
    code = "import platform, venv; print(platform.python_version())"
    return run(
        *python, "-c", code, within_s=COMMAND_S, todo="install this Python with its venv module"
    ).strip()


def why_not_debian(version: str) -> str | None:
    """Return why no Debian release can be unpacked, or None."""
    if not DEBIAN_RELEASES[version]:
        return "no Debian release to take it from"
    if os.geteuid():
        return "unpacking a Debian release needs root"
    if absent := [name for name in ("mmdebstrap", "unshare") if not shutil.which(name)]:
        return f"unpacking a Debian release needs {' and '.join(absent)}: apt-get install mmdebstrap"
    return None


def run_python(version: str, interpreter: str | None, folder: Path, *, verify: bool) -> str:
    """Run every step on one Python and return its whole version."""
    place = own_folder(interpreter, folder / version) if interpreter else unpack(version, folder / version)
    for file in (LOCK, wheel_of(folder)):
        shutil.copy(file, place.folder)
    name = place.version
    timed(f"{name} install", lambda: install(place, wheel_of(folder).name))
    timed(f"{name} --version", lambda: run_version(place))
    timed(f"{name} serve", lambda: run_serve(place))
    timed(f"{name} demo", lambda: run_demo(place))
    if verify:
        timed(f"{name} verify --quick", lambda: run_verify(place))
    return name


def own_folder(interpreter: str, folder: Path) -> Place:
    """Return the place of an installed interpreter."""
    folder.mkdir()
    version = version_of(interpreter)
    say(f"{version}: {interpreter}")
    return Place(version, interpreter, str(UV), folder, folder)


def unpack(version: str, root: Path) -> Place:
    """Unpack the first Debian release that has the version."""
    started = time.monotonic()
    release = unpack_release(version, root)
    inside = Path("/srv/wheel")
    folder = root / inside.relative_to("/")
    folder.mkdir(parents=True)
    shutil.copy(UV, folder)
    certificates = {CERTIFICATES, os.environ.get("SSL_CERT_FILE", CERTIFICATES)}
    for file in ("/etc/resolv.conf", "/etc/hosts", *certificates):
        if Path(file).exists():
            copy = root / file.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    enter = ("unshare", "--mount-proc", f"--root={root}", f"--wd={inside}")
    python = f"/usr/bin/python{version}"
    whole = version_of(*enter, python)
    say(f"{whole}: Debian {release}, unpacked in {time.monotonic() - started:.1f} s")
    return Place(whole, python, str(inside / "uv"), folder, inside, enter)


def unpack_release(version: str, root: Path) -> str:
    """Unpack a Debian release with the version and return its name."""
    todo = "is Debian's mirror reachable? If the version is in another release, name it in DEBIAN_RELEASES"
    *others, last = DEBIAN_RELEASES[version]
    for release in others:
        try:
            extract(version, release, root, todo)
        except StepFailed as error:
            say(f"{version}: not from Debian {release}\n{error}")
            shutil.rmtree(root, ignore_errors=True)
        else:
            return release
    extract(version, last, root, todo)
    return last


def extract(version: str, release: str, root: Path, todo: str) -> None:
    """Extract the interpreter's packages of a Debian release."""
    command = (
        "mmdebstrap",
        "--variant=extract",  # no package is configured: an interpreter needs only its files
        f"--include=base-files,python{version}",
        "--aptopt=Acquire::Check-Valid-Until false",  # a mirror's copy may be older than Debian allows
    )
    run(*command, release, str(root), within_s=UNPACK_S, todo=todo)


def install(place: Place, wheel: str) -> str:
    """Install the locked runtime and the wheel into an empty environment."""
    place.run(
        place.python, "-m", "venv", "--without-pip", "venv", within_s=COMMAND_S, todo="install python3-venv"
    )
    todo = "is the index reachable? A package without a wheel for this Python needs a newer one: make lock"
    place.install("sync", "--require-hashes", "--no-build", LOCK.name, todo=todo)
    place.install("install", "--no-deps", "--no-index", f"./{wheel}", todo="see what uv says")
    place.install("check", todo="let the lock satisfy pyproject.toml: make lock")
    return ""


def run_version(place: Place) -> str:
    """Compare what `--version` prints to the version of the package."""
    source = (CHECKOUT / "sidecar/__init__.py").read_text()
    wanted = re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    printed = place.run(
        place.sidecar, "--version", within_s=COMMAND_S, todo="start `sse-sidecar` by hand"
    ).strip()
    if printed.split()[-1:] != wanted:
        raise StepFailed(
            f"printed {printed!r}, sidecar/__init__.py says {wanted}", "build from a clean checkout"
        )
    return printed


def run_serve(place: Place) -> str:
    """Relay a stream of a stub backend, fetch the admin page and the browser client, and stop."""
    with stub_backend() as upstream, program(place, "serve", f"--upstream={upstream}", *any_ports()) as serve:
        started = json.loads(serve.wait_for(r'^\{.*"event": "started".*\}')[0])
        for url in (f"http://{started['admin']}/readyz", f"http://{started['admin']}/"):
            fetch(serve, url)
        fetch(serve, f"http://{started['listen']}/_sse/client.js")
        events = read_stream(serve, f"http://{started['listen']}/stream")
        relayed = tuple(event["data"] for event in events if event.get("data") in MESSAGES)
        ids = {event["id"] for event in events if event.get("data") in MESSAGES and "id" in event}
        if relayed != MESSAGES or len(ids) != len(MESSAGES):
            raise serve.failed(f"relayed {events}, not {MESSAGES} with an id each")
        serve.stop()
    return f"{len(ids)} messages with ids"


def any_ports() -> tuple[str, str]:
    """Return the options that let the system choose both ports."""
    return f"--listen={HOST}:0", f"--admin-listen={HOST}:0"


def run_demo(place: Place) -> str:
    """Read one answer of the demo's chat to its end, and stop."""
    flags = ("--port", "--admin-port", "--backend-port")
    ports = [str(port) for port in free_ports(len(flags))]
    with program(place, "demo", *(part for pair in zip(flags, ports, strict=True) for part in pair)) as demo:
        page = demo.wait_for(r"chat page +(http://\S+)/")[1]
        demo.wait_for(r"\] started ")
        if "<title>" not in fetch(demo, f"{page}/"):
            raise demo.failed("the chat page has no title")
        events = read_stream(demo, f"{page}/api/chat?prompt=hello")
        if not events or events[-1].get("event") != "done" or not all("id" in event for event in events):
            raise demo.failed(f"the answer is not whole: {events[-2:]}")
        demo.stop()
        if left := [port for port in ports if is_open(int(port))]:
            raise demo.failed(f"after the demo ended, port {left} still answers")
    return f"{len(events)} messages"


def run_verify(place: Place) -> str:
    """Run the six scenarios; in userspace, so that two runs share a machine."""
    command = (place.sidecar, "verify", "--quick", "--path=userspace")
    place.run(*command, within_s=VERIFY_S, todo="run the same with --scenario and the seed printed above")
    try:
        json.loads((place.folder / RESULTS).read_bytes())
    except (OSError, ValueError) as error:
        raise StepFailed(f"{RESULTS}: {error}", "see what `sse-sidecar verify` writes") from None
    return RESULTS


@contextmanager
def program(place: Place, *arguments: str) -> Iterator[Program]:
    """Run `sse-sidecar` and end it in any case."""
    running = Program(place, *arguments)
    try:
        yield running
    finally:
        running.end()


@contextmanager
def stub_backend() -> Iterator[str]:
    """Run the stub on a free port and yield its URL."""
    with http.server.ThreadingHTTPServer((HOST, 0), Stub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(STOP_S)


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, all different."""
    probes = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def is_open(port: int) -> bool:
    """Return whether a program accepts connections on the port."""
    try:
        with socket.create_connection((HOST, port), timeout=COMMAND_S):
            return True
    except OSError:
        return False


def fetch(running: Program, url: str) -> str:
    """Return the whole answer, which must be a 200."""
    return b"".join(lines_of(running, url, accept="*/*")).decode()


def read_stream(running: Program, url: str) -> list[dict[str, str]]:
    """Return the fields of each event, in order, without comments."""
    text = b"".join(lines_of(running, url, accept="text/event-stream")).decode()
    blocks = [re.findall(r"^(\w+): ?(.*)$", block, re.MULTILINE) for block in text.split("\n\n")]
    return [dict(block) for block in blocks if block]


def lines_of(running: Program, url: str, *, accept: str) -> Iterator[bytes]:
    """Yield the lines of an answer, and fail if it takes too long."""
    parts = urlsplit(url)
    until = time.monotonic() + ANSWER_S
    connection = http.client.HTTPConnection(parts.netloc, timeout=ANSWER_S)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers={"Accept": accept})
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise running.failed(f"GET {url}: {answer.status}")
        for line in answer:
            if time.monotonic() > until:
                raise running.failed(f"GET {url}: no end after {ANSWER_S:g} s")
            yield line
    except (OSError, http.client.HTTPException) as error:
        raise running.failed(f"GET {url}: {error!r}") from None
    finally:
        connection.close()


def run(
    *command: str, within_s: float, todo: str, cwd: Path = CHECKOUT, env: dict[str, str] | None = None
) -> str:
    """Run a command to its end and return its output."""
    with tempfile.TemporaryFile() as log:  # not a pipe, which a process that is left behind would hold open
        try:
            process = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        except OSError as error:
            raise StepFailed(f"{command[0]}: {error.strerror}", todo) from None
        try:
            code = process.wait(within_s)
            ended = f"exit code {code}"
        except subprocess.TimeoutExpired:
            code = end(process)
            ended = f"no end after {within_s:g} s"
        log.seek(0)
        output = log.read().decode(errors="replace")
    if not code and has_traceback(output):
        ended = "a traceback, though its exit code is 0"
    elif not code and ended == "exit code 0":
        return output
    raise StepFailed(f"{' '.join(command)}: {ended}", todo, output)


def end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> int:
    """Terminate a process, or kill it, and return its exit code."""
    process.terminate()
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(STOP_S)


def has_traceback(output: str) -> bool:
    """Return whether a Python program printed an unexpected exception."""
    return "Traceback (most recent call last)" in output


def timed(name: str, step: Callable[[], str]) -> None:
    """Run one step and print its time and its finding in one line."""
    started = time.monotonic()
    result = "FAILED"
    try:
        finding = step()
        result = f"ok, {finding}" if finding else "ok"
    finally:
        say(f"{name}: {result} ({time.monotonic() - started:.1f} s)")


def say(line: str) -> None:
    """Print at once, also when several Pythons run."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
