"""SSEReconnectTooSlow: fires when too many reconnects take too long, and counts those given up as such."""

from pathlib import Path

import pytest

from alerts import rules
from tests.kit.mutants import alone
from tests.kit.promtool import Sentence, needs_promtool, series, told

pytestmark = [pytest.mark.prometheus, needs_promtool]

NOTHING: tuple[str, ...] = ()
UPSTREAM = ('route="chat", severity="warning", side="upstream"',)
CLIENT = ('route="chat", severity="warning", side="client"',)


def resumed(
    in_time: str, every: str, *, side: str = "upstream", route: str = "chat", **target: str
) -> dict[str, str]:
    """Describe reconnects that came back: those within 5 s, and all."""
    ended = target | {"route": route, "side": side, "outcome": "resumed"}
    return {
        series("sse_reconnect_duration_seconds_bucket", **ended, le="5.0"): in_time,
        series("sse_reconnect_duration_seconds_bucket", **ended, le="4.0"): "0x200",
        series("sse_reconnect_duration_seconds_bucket", **ended, le="+Inf"): every,
        series("sse_reconnect_duration_seconds_count", **ended): every,
    }


def given_up(within_5_s: str, every: str, *, side: str = "upstream") -> dict[str, str]:
    """Describe reconnects that never came back, however soon they were given up."""
    ended = {"route": "chat", "side": side, "outcome": "gave_up"}
    return {
        series("sse_reconnect_duration_seconds_bucket", **ended, le="5.0"): within_5_s,
        series("sse_reconnect_duration_seconds_bucket", **ended, le="+Inf"): every,
        series("sse_reconnect_duration_seconds_count", **ended): every,
    }


def slow(says: str, given: dict[str, str], firing: dict[str, tuple[str, ...]]) -> Sentence:
    return Sentence(says, "SSEReconnectTooSlow", given, firing)


SENTENCES = [
    slow(
        "when reconnects turn slow nobody hears of it for some minutes, and then somebody does",
        resumed("0+20x30 600x20", "0+20x50"),
        {"36m": NOTHING, "37m": UPSTREAM},
    ),
    slow("4 slow in 100 are within the objective", resumed("0+96x40", "0+100x40"), {"40m": NOTHING}),
    slow(
        "so are 4 in 100 of each of two sidecars",
        resumed("0+96x40", "0+100x40") | resumed("0+96x40", "0+100x40", instance="b"),
        {"40m": NOTHING},
    ),
    slow("6 slow in 100 are not", resumed("0+94x40", "0+100x40"), {"40m": UPSTREAM}),
    slow(
        "those given up are slow, even when that was at once",
        resumed("0+94x40", "0+94x40") | given_up("0+6x40", "0+6x40"),
        {"40m": UPSTREAM},
    ),
    slow(
        "nine of ten clients that return do not hide one backend in ten that does not",
        resumed("0+90x40", "0+90x40", side="client") | resumed("0+9x40", "0+10x40"),
        {"40m": UPSTREAM},
    ),
    slow("clients have an alert of their own", resumed("0x40", "0+1x40", side="client"), {"40m": CLIENT}),
    slow(
        "on a quiet route the fifth slow one is told of, five minutes after it",
        resumed("0x60", "0x9 1x4 2x4 3x4 4x3 5x3 6 7 8x30"),
        {"28m": NOTHING, "33m": NOTHING, "34m": UPSTREAM},
    ),
    slow(
        "five minutes in time end it, though half an hour still looks bad",
        resumed("0x20 0+20x20", "0+20x41"),
        {"21m": UPSTREAM, "27m": NOTHING},
    ),
    slow(
        "so do five minutes within the objective, if not all in time",
        resumed("0x20 0+96x20", "0+100x41"),
        {"21m": UPSTREAM, "27m": NOTHING},
    ),
    slow(
        "one bad minute is no trend: half an hour in time outweighs it",
        resumed("0+100x30 3000x0 3000+90x12", "0+100x31 3100+100x12"),
        {"40m": NOTHING},
    ),
    slow(
        "the canary's reconnects wake nobody", resumed("0x40", "0+9x40", route="__canary__"), {"40m": NOTHING}
    ),
    slow("nor do those of another job", resumed("0x40", "0+9x40", job="elsewhere"), {"40m": NOTHING}),
]


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.says)
def test_the_reconnect_alert(sentence: Sentence, tmp_path: Path) -> None:
    verdict = told([sentence], alone(rules.render(), sentence.alert), tmp_path)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
