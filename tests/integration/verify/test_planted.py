"""The tool can fail: a bug in a copy of the sidecar is caught, of each kind that a resumable stream can have.

Each copy differs from the package in one small place; `verify` has to leave with 1 and name the rule.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.slow

RUN_S = 240
SEED = "7"

ONE_EVENT = 'body = b"%b%b%d\\n\\n" % (event, prefix, seq)'


@dataclass(frozen=True)
class Bug:
    """A patch of one file of the package, the scenario that meets it, and the rule that it breaks."""

    file: str
    right: str
    wrong: str
    scenario: str
    rule: str


BUGS = {
    "skip one event": Bug(
        "streams/subscriber.py",
        "self.position = position\n",
        "self.position = position + bool(position)\n",
        "network-handoff",
        "missing",
    ),
    "replay one too many": Bug(
        "streams/subscriber.py",
        "self.position = position\n",
        "self.position = max(0, position - 1)\n",
        "network-handoff",
        "replayed",
    ),
    "clean end on failure": Bug(
        "streams/subscriber.py",
        "            self._connection.abort()\n        else:\n            await self._end_cleanly()\n",
        "        await self._end_cleanly()\n",
        "user-experience",
        "clean-end",
    ),
    "heartbeat in mid-event": Bug(
        "streams/subscriber.py",
        ONE_EVENT,
        'body = b"%b: hb idle=0\\n%b%d\\n\\n" % (event, prefix, seq)',
        "network-handoff",
        "heartbeat",
    ),
    "wrong seq after trim": Bug(
        "streams/replay_log.py",
        "start = self._head + after + 1 - self.first_seq\n",
        "start = self._head + after + 1 - self.first_seq + bool(self._head)\n",
        "user-experience",
        "seq",
    ),
    "200 after completion": Bug(
        "proxy/resume.py",
        "if stream.log.closed and after == stream.log.last_seq and after:",
        "if stream.log.closed and after > stream.log.last_seq:",
        "network-handoff",
        "completion",
    ),
    "id first in the block": Bug(
        "streams/subscriber.py",
        ONE_EVENT,
        'body = b"%b%d\\n%b\\n" % (prefix, seq, event)',
        "network-handoff",
        "id-last",
    ),
    "no user scope": Bug(
        "sse/event_id.py",
        "hmac.compare_digest(_sealed(key, random, principal), raw)",
        "hmac.compare_digest(_sealed(key, random, principal)[:21], raw[:21])",
        "network-handoff",
        "principal",
    ),
    "linger ignored": Bug(
        "streams/lifecycle.py",
        "        return detached_at + policy.linger_s",
        "        return detached_at",
        "packet-loss",
        "linger",
    ),
    "gap not told": Bug(
        "streams/subscriber.py",
        "        await self._write(control_events.gap_event(*gap))\n",
        "",
        "user-experience",
        "gap",
    ),
}

SCENARIOS = sorted({bug.scenario for bug in BUGS.values()})


class Verified(NamedTuple):
    """How a run ended: its exit code, the rules that it found broken, and all that it said."""

    code: int
    rules: set[str]
    said: str


def _verify(folder: Path, bug: Bug | None, scenarios: list[str]) -> Verified:
    package = folder / "sidecar"
    shutil.copytree(ROOT / "sidecar", package)  # with its bytecode: a run starts many processes
    if bug is not None:
        file = package / bug.file
        text = file.read_text()
        assert text.count(bug.right) == 1, f"plant this bug anew, {bug.file} has changed: {bug.right}"
        file.write_text(text.replace(bug.right, bug.wrong))
    chosen = [word for name in scenarios for word in ("--scenario", name)]
    options = ["--quick", "--users", "2", "--seed", SEED, "--path", "userspace", "--compare", "sidecar"]
    ran = subprocess.run(
        [sys.executable, "-m", "sidecar", "verify", *options, *chosen, "--output", "results"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    said = ran.stdout + ran.stderr
    file = folder / "results" / "sse_test_results.json"
    assert file.exists(), said
    return Verified(ran.returncode, _rules(json.loads(file.read_text())), said)


def _rules(results: dict[str, Any]) -> set[str]:
    scenarios = [scenario for target in results["targets"] for scenario in target["scenarios"]]
    return {breach["rule"] for scenario in scenarios for breach in scenario["breaches"]}


def test_the_sidecar_as_it_is_passes(tmp_path: Path) -> None:
    verified = _verify(tmp_path, None, SCENARIOS)
    assert (verified.code, verified.rules) == (0, set()), verified.said


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught_by_name(name: str, tmp_path: Path) -> None:
    verified = _verify(tmp_path, BUGS[name], [BUGS[name].scenario])
    assert verified.code == 1, verified.said
    assert BUGS[name].rule in verified.rules, verified.said
