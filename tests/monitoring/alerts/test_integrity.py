"""SSEMessageIntegrityViolation: a lost message pages, a duplicate warns, and gaps in scrapes do neither."""

from pathlib import Path

import pytest

from alerts import rules
from tests.kit.mutants import alone
from tests.kit.promtool import Sentence, needs_promtool, series, told

pytestmark = [pytest.mark.prometheus, needs_promtool]

NOTHING: tuple[str, ...] = ()
LOST = 'reason="window", route="chat", severity="critical", stage="sidecar", violation="lost"'
TRIMMED = 'reason="trimmed", route="chat", severity="critical", stage="client", violation="lost"'
TWICE = 'route="chat", severity="warning", stage="client", violation="duplicated"'


def lost(stage: str = "sidecar", reason: str = "window", **more: str) -> str:
    return series("sse_messages_lost_total", **{"route": "chat", "stage": stage, "reason": reason} | more)


def duplicated(disposition: str, **more: str) -> str:
    labels = {"route": "chat", "stage": "client", "disposition": disposition}
    return series("sse_messages_duplicated_total", **labels | more)


def started(**more: str) -> str:
    return series("process_start_time_seconds", **more)


def integrity(says: str, given: dict[str, str], firing: dict[str, tuple[str, ...]]) -> Sentence:
    return Sentence(says, "SSEMessageIntegrityViolation", given, firing)


OLD = {started(): "0x90"}
NEW = {started(): "_x30 1790x60"}
"""A sidecar that started ten seconds before its first scrape, half an hour into the test."""

SENTENCES = [
    integrity(
        "one lost message pages at once, and for the ten minutes after those in which it was lost",
        OLD | {lost(): "0x14 1x60"},
        {"14m": NOTHING, "15m": (LOST,), "34m": (LOST,), "35m": NOTHING},
    ),
    integrity("a loss long ago is over", OLD | {lost(): "5x60"}, {"30m": NOTHING}),
    integrity(
        "one duplicate delivered warns",
        OLD | {duplicated("delivered"): "0x14 1x60"},
        {"14m": NOTHING, "15m": (TWICE,), "34m": (TWICE,), "35m": NOTHING},
    ),
    integrity(
        "duplicates that were suppressed are the sidecar's daily work",
        OLD | NEW | {duplicated("suppressed"): "0+5x60"},
        {"40m": NOTHING},
    ),
    integrity(
        "a loss pages though duplicates warn already, and each reason has its alert",
        OLD | {duplicated("delivered"): "0+1x40", lost(): "0+1x40", lost("client", "trimmed"): "0+1x40"},
        {"20m": (LOST, TRIMMED, TWICE)},
    ),
    integrity(
        "sidecars that lose at the same time are one alert",
        OLD | {lost(): "0+1x40", lost(instance="b"): "0+1x40"},
        {"20m": (LOST,)},
    ),
    integrity(
        "what a new instance lost before its first scrape pages",
        NEW | {lost(): "_x30 1x60"},
        {"29m": NOTHING, "30m": (LOST,), "48m": (LOST,), "50m": NOTHING},
    ),
    integrity(
        "and what it delivered twice warns",
        NEW | {duplicated("delivered"): "_x30 1x60"},
        {"29m": NOTHING, "30m": (TWICE,), "48m": (TWICE,), "50m": NOTHING},
    ),
    integrity(
        "a new instance that lost nothing is silent",
        NEW | {lost(): "_x30 0x60", duplicated("delivered"): "_x30 0x60"},
        {"30m": NOTHING, "35m": NOTHING},
    ),
    integrity(
        "a gap in the scrapes of an old instance is no loss",
        OLD | {lost(): "3x20 _x25 3x40", duplicated("delivered"): "3x20 _x25 3x40"},
        {"46m": NOTHING, "47m": NOTHING, "60m": NOTHING},
    ),
    integrity(
        "a clock that runs ahead of Prometheus' makes nothing look new for longer than ten minutes",
        {started(): "90000x40", lost(): "3x40", duplicated("delivered"): "3x40"},
        {"0m": (LOST, TWICE), "22m": NOTHING},
    ),
    integrity(
        "an instance that was first scraped a quarter of an hour after its start is old",
        {started(): "_x15 0x20", lost(): "_x15 3x20", duplicated("delivered"): "_x15 3x20"},
        {"15m": NOTHING, "20m": NOTHING},
    ),
    integrity(
        "another instance that is new makes an old one's count no loss",
        OLD | {started(instance="b"): "_x46 2750x40", lost(): "3x20 _x25 3x40"},
        {"46m": NOTHING, "47m": NOTHING},
    ),
    integrity(
        "another instance that is new makes an old one's count no duplicate",
        OLD | {started(instance="b"): "_x46 2750x40", duplicated("delivered"): "3x20 _x25 3x40"},
        {"46m": NOTHING, "47m": NOTHING},
    ),
    integrity(
        "a new process of another job neither",
        OLD | {started(job="elsewhere"): "_x46 2750x40", lost(): "3x20 _x25 3x40"},
        {"46m": NOTHING, "47m": NOTHING},
    ),
    integrity(
        "a new process that loses less than its predecessor pages all the same",
        {started(): "0x20 1250x40", lost(): "5x20 2x40", duplicated("delivered"): "5x20 2x40"},
        {"20m": NOTHING, "21m": (LOST, TWICE)},
    ),
    integrity(
        "what the canary loses wakes nobody here",
        OLD | {lost(route="__canary__"): "0+1x30", duplicated("delivered", route="__canary__"): "0+1x30"},
        {"20m": NOTHING},
    ),
    integrity(
        "nor what a new one did before its first scrape",
        {started(): "0x10"}
        | {lost(route="__canary__"): "3x10", duplicated("delivered", route="__canary__"): "3x10"},
        {"0m": NOTHING, "5m": NOTHING},
    ),
    integrity(
        "nor what another job counts",
        OLD | {lost(job="elsewhere"): "0+1x30", duplicated("delivered", job="elsewhere"): "0+1x30"},
        {"20m": NOTHING},
    ),
]


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.says)
def test_the_integrity_alert(sentence: Sentence, tmp_path: Path) -> None:
    verdict = told([sentence], alone(rules.render(), sentence.alert), tmp_path)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
