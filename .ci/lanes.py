"""Run the tests in parallel lanes: ``python .ci/lanes.py python|all``, as `make test` and `make test-all` do.

``python`` runs what needs only Python and make, ``all`` runs everything. A lane is one command with a bound
on its time. Lanes of one stage run side by side; the next stage starts when they have ended. The first lane
of a stage shows its progress. The others write to a file, which is printed when they have failed.

The last line sums up: `N passed, N failed`. The exit status is 0 only if every lane ended with 0.
"""

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

BROWSER_WORKERS = 2
STOP_S = 20.0
"""A lane that is told to stop may take so long to end its servers."""

SDK_FILES = (
    "tests/test_sdk_*.py",
    "tests/test_demo_sdks.py",
    "tests/test_verdict_told.py",
)
"""Their imports take seconds: one process pays for them, not every worker."""

# A browser drops the connections that it is making when the machine's addresses change, and tests of real
# networks do change them. So it has a network of its own, with an address beside loopback to be online.
OWN_NETWORK = (
    "ip link set lo up && ip link add line type veth peer name end && ip link set end up"
    " && ip address add 198.18.255.1/30 dev line && ip link set line up"
)

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
            self.process = subprocess.Popen(
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
                self._copy(self.process, log, shown)
                self.status = self.process.wait()
            finally:
                late = not bound.is_alive()
                bound.cancel()
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
        """End the command with all that it started."""
        process = self.process
        if process is None or process.poll() is not None:
            return
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)

    def _count(self) -> None:
        summaries = [
            line for line in self.output.splitlines() if re.search(r"\d+ (passed|failed).* in [\d.]+s", line)
        ]
        for count, outcome in COUNTS.findall(summaries[-1]) if summaries else []:
            self.counts[outcome.rstrip("s") if outcome.startswith("error") else outcome] = int(count)

    @property
    def passed(self) -> int:
        """Tests that passed; a lane that is one check counts as one test."""
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


def python_stages() -> list[list[Lane]]:
    """Return the lanes of `make test`."""
    ignored = " ".join(f"--ignore-glob='{pattern}'" for pattern in SDK_FILES)
    layer = f"{PYTEST} -q --layer=python"
    return [
        [
            Lane("tests", f"{layer} -m 'not alone' -n {WORKERS} --dist=loadgroup {ignored}", 20),
            Lane("SDKs", f"{layer} -m 'not alone' {' '.join(SDK_FILES)}", 10),
        ],
        [alone("python")],
    ]


def all_stages() -> list[list[Lane]]:
    """Return the lanes of `make test-all`."""
    apart = "tests/test_drills.py tests/test_healthy_load.py"
    ignored = " ".join(f"--ignore-glob='{name}'" for name in (*SDK_FILES, *apart.split()))
    browser = f"exec {PYTEST} -q -m browser -n {BROWSER_WORKERS} --dist=loadgroup"
    return [
        [
            Lane(
                "tests",
                f"{PYTEST} -q -m 'not alone and not browser' -n {WORKERS} --dist=loadgroup {ignored}",
                25,
            ),
            Lane("SDKs", f"{PYTEST} -q -m 'not alone and not browser' {' '.join(SDK_FILES)}", 15),
            Lane("browser", f"unshare --net sh -c {shlex.quote(f'{OWN_NETWORK} && {browser}')}", 20),
            Lane(
                "healthy load",
                f"{PYTEST} -q -o faulthandler_timeout=800 tests/test_healthy_load.py",
                14,
                {"HEALTHY_LOAD_S": "600"},
            ),
            Lane("soak and real network", "make soak MINUTES=5 && make verify ARGS=--path=real", 14),
            Lane("wheel", f"{shlex.quote(sys.executable)} .ci/wheel.py", 10),
        ],
        [
            Lane("drills", f"{PYTEST} -q tests/test_drills.py", 10),
        ],
        [alone("all")],
    ]


STAGES = {"python": python_stages, "all": all_stages}


def main(arguments: list[str]) -> int:
    """Run one set of lanes; return the exit status."""
    if len(arguments) != 1 or arguments[0] not in STAGES:
        print(f"usage: python .ci/lanes.py {'|'.join(STAGES)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    stages = STAGES[arguments[0]]()
    for stage in stages:
        run_stage(stage)
    lanes = [lane for stage in stages for lane in stage]
    print()
    for lane in lanes:
        outcome = "ok" if lane.status == 0 else f"FAILED ({lane.status})"
        print(f"{lane.name:24}{outcome:14}{lane.passed:6} passed {lane.failed:4} failed {lane.took_s:7.0f} s")
    print(f"{'all lanes':24}{'':41}{time.monotonic() - started:7.0f} s")
    print(f"{sum(lane.passed for lane in lanes)} passed, {sum(lane.failed for lane in lanes)} failed")
    return int(any(lane.status for lane in lanes))


def run_stage(stage: list[Lane]) -> None:
    """Run lanes side by side; print the output of those that failed unseen."""
    threads = [
        threading.Thread(target=lane.run, args=(sys.stdout if number == 0 else None,), daemon=True)
        for number, lane in enumerate(stage)
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        for lane in stage:
            lane.stop()
        raise SystemExit(130) from None
    for lane in stage[1:]:
        print(f"--- {lane.name}: {'ok' if lane.status == 0 else 'FAILED'}")
        if lane.status != 0:
            print(lane.output)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
