"""SSESilentFailure: a leaked failure, a watchdog that has stopped and a canary that lies each page."""

from pathlib import Path

import pytest

from alerts import rules
from tests.kit.mutants import alone
from tests.kit.promtool import Sentence, needs_promtool, series, told

pytestmark = [pytest.mark.prometheus, needs_promtool]

NOTHING: tuple[str, ...] = ()
TRUNCATED = 'kind="truncated", route="chat", severity="critical"'
STOPPED = 'instance="a", kind="watchdog_stopped", severity="critical"'
MISMATCH = 'instance="a", kind="canary_mismatch", severity="critical"'
MISMATCH_OF_B = 'instance="b", kind="canary_mismatch", severity="critical"'


def failed(disposition: str, **more: str) -> str:
    labels = {"route": "chat", "kind": "truncated", "disposition": disposition}
    return series("sse_silent_failures_total", **labels | more)


def watchdog(**more: str) -> str:
    return series("sse_watchdog_last_pass_timestamp_seconds", **more)


def mismatches(**more: str) -> str:
    return series("sse_canary_mismatches_total", **more)


def started(**more: str) -> str:
    return series("process_start_time_seconds", **more)


def silent(
    says: str, given: dict[str, str], firing: dict[str, tuple[str, ...]], every: str = "1m"
) -> Sentence:
    return Sentence(says, "SSESilentFailure", given, firing, every)


OLD = {started(): "0x60"}
NEW = {started(): "_x30 1790x30"}

SENTENCES = [
    silent(
        "one failure that its client took for health pages at once, for ten minutes",
        OLD | {failed("leaked"): "0x14 1x40"},
        {"14m": NOTHING, "15m": (TRUNCATED,), "24m": (TRUNCATED,), "25m": NOTHING},
    ),
    silent(
        "failures that clients were told of wake nobody",
        NEW | {failed("surfaced"): "_x30 5+5x30"},
        {"30m": NOTHING, "35m": NOTHING},
    ),
    silent(
        "a leak before the first scrape of a new instance pages",
        NEW | {failed("leaked"): "_x30 2x30"},
        {"29m": NOTHING, "30m": (TRUNCATED,), "39m": (TRUNCATED,), "40m": NOTHING},
    ),
    silent(
        "a gap in the scrapes of an old one does not",
        OLD | {failed("leaked"): "2x14 _x20 2x20", mismatches(): "2x14 _x20 2x20"},
        {"36m": NOTHING, "40m": NOTHING},
    ),
    silent(
        "nor a shorter one of one that is not so old",
        OLD | {failed("leaked"): "2x3 _x15 2x20", mismatches(): "2x3 _x15 2x20"},
        {"18m": NOTHING, "19m": NOTHING},
    ),
    silent(
        "another instance that is new makes an old one's count no news",
        OLD
        | {started(instance="b"): "_x36 2150x20"}
        | {failed("leaked"): "2x14 _x21 2x20", mismatches(): "2x14 _x21 2x20"},
        {"36m": NOTHING, "40m": NOTHING},
    ),
    silent(
        "a new process that leaks less than its predecessor pages all the same",
        {started(): "0x20 1250x20", failed("leaked"): "5x20 2x20", mismatches(): "5x20 2x20"},
        {"20m": NOTHING, "21m": (MISMATCH, TRUNCATED)},
    ),
    silent(
        "a clock that runs ahead of Prometheus' makes nothing look new for longer than ten minutes",
        {started(): "90000x20", failed("leaked"): "2x20", mismatches(): "2x20"},
        {"0m": (MISMATCH, TRUNCATED), "12m": NOTHING},
    ),
    silent(
        "what a new instance leaked on the canary's route is the canary's to tell",
        {started(): "0x10", failed("leaked", route="__canary__"): "3x10"},
        {"0m": NOTHING, "5m": NOTHING},
    ),
    silent(
        "what leaks on the canary's route is the canary's to tell",
        OLD | {failed("leaked", route="__canary__"): "0+1x30"},
        {"20m": NOTHING},
    ),
    silent(
        "another job's leaks, watchdog and canary are another's",
        {
            started(): "0x30",
            started(job="elsewhere"): "0x30",
            failed("leaked", job="elsewhere"): "1+1x30",
            watchdog(job="elsewhere"): "0x30",
            mismatches(job="elsewhere"): "1+1x30",
        },
        {"0m": NOTHING, "20m": NOTHING},
    ),
    silent("a watchdog that keeps looking is alive", {watchdog(): "0+15x40"}, {"10m": NOTHING}, "15s"),
    silent(
        "one that last looked a minute ago is trusted, and fifteen seconds later pages",
        {watchdog(): "0+15x20 300x20"},
        {"6m": NOTHING, "375s": (STOPPED,)},
        "15s",
    ),
    silent(
        "a watchdog that has stopped is not excused by another's",
        {watchdog(): "0x20", watchdog(instance="b"): "0+60x20"},
        {"10m": (STOPPED,)},
    ),
    silent("a watchdog whose sidecar is gone says nothing", {watchdog(): "0+60x5 stale"}, {"10m": NOTHING}),
    silent(
        "one canary stream that differs pages, for ten minutes",
        OLD | {mismatches(): "0x14 1x40"},
        {"14m": NOTHING, "15m": (MISMATCH,), "24m": (MISMATCH,), "25m": NOTHING},
    ),
    silent(
        "so does one before the first scrape of a new instance",
        NEW | {mismatches(): "_x30 1x30"},
        {"29m": NOTHING, "30m": (MISMATCH,), "39m": (MISMATCH,), "40m": NOTHING},
    ),
    silent(
        "each instance whose canary differs is named",
        OLD
        | {started(instance="b"): "0x60", started(instance="c"): "0x60"}
        | {mismatches(): "0x14 1x20", mismatches(instance="b"): "0x14 2x20"}
        | {mismatches(instance="c"): "0x34"},
        {"14m": NOTHING, "15m": (MISMATCH, MISMATCH_OF_B)},
    ),
    silent(
        "a canary that agrees is silent",
        NEW | {mismatches(): "_x30 0x30"},
        {"30m": NOTHING, "35m": NOTHING},
    ),
]


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.says)
def test_the_silent_failure_alert(sentence: Sentence, tmp_path: Path) -> None:
    verdict = told([sentence], alone(rules.render(), sentence.alert), tmp_path)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
