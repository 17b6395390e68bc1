"""Run the tests in parallel lanes: ``python .ci/lanes.py python|all``, as `make test` and `make test-all` do.

``python`` runs the tests that need only Python and make, ``all`` runs every test. A lane is one command
with a bound on its time. Tracks run side by side, the lanes of a track one after the other. The last lanes
run when all tracks have ended, alone. The first lane shows its progress; the output of another is printed
if it failed.

The last line sums up: `N passed, N failed`. The exit status is 0 only if every lane ended with 0.
"""

import contextlib
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
PYTEST = f"{shlex.quote(sys.executable)} -m pytest"

WORKERS = 8
"""Processes of the main lane: most tests wait for timers, so two cores carry more than two."""

WORKERS_BESIDE = 3
"""The same where other lanes run beside it, which take longer than this one anyway."""

WAKE_S = 0.5
"""A signal that arrives just before a wait does not interrupt it, so the waits are short."""

BROWSER_WORKERS = 2
STOP_S = 20.0
"""The time that a lane has to end its servers after SIGTERM."""

SDK_FILES = (
    "tests/clients/sdk/test_sdk_*.py",
    "tests/integration/demo/test_sdks.py",
    "tests/unit/sse/protocols/test_sdks.py",
)
"""Their imports take seconds: one process pays for them, not every worker."""

# A browser drops the connections that it is making when the machine's addresses change, and tests of real
# networks do change them. So it has a network of its own, with an address beside loopback to be online.
OWN_NETWORK = (
    "ip link set lo up && ip link add line type veth peer name end && ip link set end up"
    " && ip address add 198.18.255.1/30 dev line && ip link set line up"
)

INTERRUPTED = threading.Event()
"""No further lane starts."""

COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)")


@dataclass
class Lane:
    """A command of the shell, and how it ended: its status, seconds and the tests that it counted."""

    name: str
    command: str
    minutes_max: float
    environment: dict[str, str] = field(default_factory=dict)
    status: int = -1
    took_s: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    output: str = ""
    process: "subprocess.Popen[str] | None" = None

    def run(self, shown: IO[str] | None) -> None:
        """Run the command to its end or its bound; copy its output to ``shown``."""
        started = time.monotonic()
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            self.process = process = subprocess.Popen(
                ["/bin/sh", "-c", self.command],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            bound = threading.Timer(self.minutes_max * 60, self.stop)
            bound.start()
            try:
                self._copy(process, log, shown)
                self.status = process.wait()
            finally:
                late = not bound.is_alive()
                bound.cancel()
                self.process = None
                if process.stdout:
                    process.stdout.close()
            self.took_s = time.monotonic() - started
            log.seek(0)
            self.output = log.read()
        if late:
            self.output += f"\n{self.name}: stopped after {self.minutes_max:g} minutes\n"
            self.status = self.status or 1
        self._count()

    def _copy(self, process: "subprocess.Popen[str]", log: IO[str], shown: IO[str] | None) -> None:
        while text := process.stdout.read(1 if shown else -1) if process.stdout else "":
            log.write(text)
            if shown:
                shown.write(text)
                shown.flush()

    def stop(self) -> None:
        """End the command and every process that it started."""
        process = self.process
        if process is None:
            return
        # Also when the command has ended: a server that it left behind may hold its output open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            os.killpg(process.pid, signal.SIGKILL)

    def _count(self) -> None:
        summaries = [
            line for line in self.output.splitlines() if re.search(r"\d+ (passed|failed).* in [\d.]+s", line)
        ]
        for count, outcome in COUNTS.findall(summaries[-1]) if summaries else []:
            self.counts[outcome.rstrip("s") if outcome.startswith("error") else outcome] = int(count)

    @property
    def passed(self) -> int:
        """Tests that passed; a lane that is no run of pytest counts as one."""
        return self.counts.get("passed", 0) if self.counts else int(self.status == 0)

    @property
    def failed(self) -> int:
        """Tests that failed; at least one where the lane did."""
        counted = self.counts.get("failed", 0) + self.counts.get("error", 0)
        return counted or int(self.status != 0)


def alone(layer: str) -> Lane:
    """Return the lane of the tests that need the machine to themselves; no other file is collected."""
    files = sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if "node_modules" not in path.parts and "pytest.mark.alone" in path.read_text(encoding="utf-8")
    )
    return Lane("alone", f"{PYTEST} -q --layer={layer} -m alone {' '.join(files)}", 5)


def python_lanes() -> tuple[list[list[Lane]], list[Lane]]:
    """Return the tracks of `make test`, and the last lanes."""
    layer = f"{PYTEST} -q --layer=python -m 'not alone'"
    tests = Lane("tests", f"{layer} -n {WORKERS} --dist=loadgroup {_without(*SDK_FILES)}", 20)
    return [[tests], [Lane("SDKs", f"{layer} {' '.join(SDK_FILES)}", 10)]], [alone("python")]


def all_lanes() -> tuple[list[list[Lane]], list[Lane]]:
    """Return the tracks of `make test-all`, and the last lanes."""
    rest = f"{PYTEST} -q -m 'not alone and not browser'"
    others = _without(
        *SDK_FILES, "tests/monitoring/drills/test_drills.py", "tests/integration/test_healthy_load.py"
    )
    browser = f"{OWN_NETWORK} && exec {PYTEST} -q -m browser -n {BROWSER_WORKERS} --dist=loadgroup"
    healthy = f"{PYTEST} -q -o faulthandler_timeout=800 tests/integration/test_healthy_load.py"
    tracks = [
        [
            Lane("tests", f"{rest} -n {WORKERS_BESIDE} --dist=loadgroup {others}", 25),
            Lane("SDKs", f"{rest} {' '.join(SDK_FILES)}", 10),
        ],
        [
            Lane("browser", f"unshare --net sh -c {shlex.quote(browser)}", 15),
            Lane("soak", "make soak MINUTES=5", 8),
            Lane("six scenarios", "make verify ARGS=--path=real", 8),
            Lane("wheel", f"{shlex.quote(sys.executable)} .ci/wheel.py", 8),
        ],
        [Lane("healthy load", healthy, 14, {"HEALTHY_LOAD_S": "600"})],
    ]
    return tracks, [Lane("drills", f"{PYTEST} -q tests/monitoring/drills/test_drills.py", 10), alone("all")]


def _without(*patterns: str) -> str:
    return " ".join(f"--ignore-glob={pattern}" for pattern in patterns)


SETS = {"python": python_lanes, "all": all_lanes}


def main(arguments: list[str]) -> int:
    """Run one set of lanes; return the exit status."""
    if len(arguments) != 1 or arguments[0] not in SETS:
        print(f"usage: python .ci/lanes.py {'|'.join(SETS)}", file=sys.stderr)
        return 2
    # A guard of CI ends a run by SIGTERM: the lanes have to end with it, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    tracks, last = SETS[arguments[0]]()
    lanes = [*itertools.chain(*tracks), *last]
    try:
        run_tracks(tracks, shown=lanes[0])
        run_track(last, shown=lanes[0])
    except KeyboardInterrupt:
        stop(last)
        return 130
    print()
    for lane in lanes:
        outcome = "ok" if lane.status == 0 else f"FAILED ({lane.status})"
        print(f"{lane.name:24}{outcome:14}{lane.passed:6} passed {lane.failed:4} failed {lane.took_s:7.0f} s")
    print(f"{'all lanes':24}{'':33}{time.monotonic() - started:9.0f} s")
    print(f"{sum(lane.passed for lane in lanes)} passed, {sum(lane.failed for lane in lanes)} failed")
    return int(any(lane.status for lane in lanes))


def run_tracks(tracks: list[list[Lane]], shown: Lane) -> None:
    """Run tracks side by side; an interrupt stops their lanes first."""

    def run(track: list[Lane], ended: threading.Event) -> None:
        try:
            run_track(track, shown)
        finally:
            ended.set()

    # Before Python 3.12 a join that a signal interrupts takes the thread for ended, hence the events.
    ends: list[threading.Event] = []
    try:
        for track in tracks:
            ends.append(threading.Event())
            threading.Thread(target=run, args=(track, ends[-1]), daemon=True).start()
        for ended in ends:
            while not ended.wait(WAKE_S):
                pass
    except KeyboardInterrupt:
        stop(list(itertools.chain(*tracks)))
        # A thread that prints while the interpreter ends would abort it.
        for ended in ends:
            ended.wait(STOP_S)
        raise


def stop(lanes: list[Lane]) -> None:
    """Stop lanes side by side; no further lane starts."""
    INTERRUPTED.set()
    stops = [threading.Thread(target=lane.stop) for lane in lanes]
    for each in stops:
        each.start()
    for each in stops:
        each.join()


def run_track(track: list[Lane], shown: Lane) -> None:
    """Run lanes one after the other; print the output of those that failed unseen."""
    for lane in track:
        if INTERRUPTED.is_set():
            return
        lane.run(sys.stdout if lane is shown else None)
        if lane is not shown and not INTERRUPTED.is_set():
            failure = "" if lane.status == 0 else f"\n{lane.output}"
            print(
                f"\n--- {lane.name}: {'FAILED' if failure else 'ok'} ({lane.took_s:.0f} s){failure}",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
