"""SSECompletionBudgetBurn: fires while the budget burns, and stays silent for what is no breach."""

from pathlib import Path

import pytest

from alerts import rules
from tests.kit.mutants import alone
from tests.kit.promtool import Sentence, needs_promtool, series, told

pytestmark = [pytest.mark.prometheus, needs_promtool]

ALERT = "SSECompletionBudgetBurn"
NOTHING: tuple[str, ...] = ()
CRITICAL = 'route="chat", severity="critical"'
WARNING = 'route="chat", severity="warning"'


def finished(outcome: str, *, route: str = "chat", job: str = "sse-sidecar", instance: str = "a") -> str:
    return series("sse_streams_finished_total", job=job, instance=instance, route=route, outcome=outcome)


def burn(says: str, given: dict[str, str], firing: dict[str, tuple[str, ...]], every: str = "1m") -> Sentence:
    return Sentence(says, ALERT, given, firing, every)


GOOD, BAD = finished("completed"), finished("upstream_error")

OUTAGES = [
    burn(
        "the total outage of a busy route warns after two minutes above the limit, and pages a minute later",
        {GOOD: "0+100x60 6000x10", BAD: "0x60 100+100x9"},
        {"62m": NOTHING, "63m": (WARNING,), "64m": (CRITICAL, WARNING)},
    ),
    burn(
        "one failure on an idle route wakes nobody",
        {GOOD: "0x40", BAD: "0x20 1x20"},
        {"25m": NOTHING, "40m": NOTHING},
    ),
    burn(
        "nor do two",
        {GOOD: "0x40", BAD: "0x10 1x10 2x20"},
        {"25m": NOTHING, "40m": NOTHING},
    ),
    burn(
        "an idle route on which every stream fails pages with the third, and between streams too",
        {GOOD: "0x60", BAD: "0x9 1x9 2x9 3x40"},
        {"31m": NOTHING, "32m": (CRITICAL, WARNING), "50m": (CRITICAL, WARNING)},
    ),
    burn(
        "what people stop and leave themselves is no failure",
        {GOOD: "0+1x30", finished("client_cancelled"): "0+50x30", finished("client_left"): "0+50x30"},
        {"30m": NOTHING},
    ),
    burn(
        "nor does it dilute failures",
        {
            GOOD: "0+9x30",
            BAD: "0+1x30",
            finished("client_cancelled"): "0+500x30",
            finished("client_left"): "0+500x30",
        },
        {"20m": (CRITICAL, WARNING)},
    ),
    burn(
        "a stream whose client never came back counts against us",
        {GOOD: "0+1x30", finished("client_abandoned"): "0+1x30"},
        {"20m": (CRITICAL, WARNING)},
    ),
    burn(
        "the canary's own failures burn nobody's budget",
        {finished("upstream_error", route="__canary__"): "0+10x30"},
        {"30m": NOTHING},
    ),
    burn(
        "nor do those of another job",
        {finished("upstream_error", job="elsewhere"): "0+10x30"},
        {"30m": NOTHING},
    ),
    burn(
        "two sidecars count together: the failures of one are diluted by the other's successes",
        {GOOD: "0+999x30", finished("upstream_error", instance="b"): "0+4x30"},
        {"30m": NOTHING},
    ),
    burn(
        "kinds of failure add up",
        {GOOD: "0+994x14", BAD: "0+3x14", finished("stall_unrecovered"): "0+3x14"},
        {"70m": (WARNING,)},
        every="5m",
    ),
    burn(
        "one bad route does not hide behind a good one",
        {finished("completed", route="search"): "0+1000x30", BAD: "0+1x30"},
        {"20m": (CRITICAL, WARNING)},
    ),
]

HOUR_AND_FIVE_MINUTES = [
    *(
        burn(
            f"failures an hour ago, and now {share} in 1000 over five minutes, while half an hour looks well",
            {
                GOOD: f"0+500x20 10000+1000x34 44000+{1000 - share}x8",
                BAD: f"0+500x20 10000x34 10000+{share}x8",
            },
            {"62m": firing},
        )
        for share, firing in ((71, (WARNING,)), (73, (CRITICAL, WARNING)))
    ),
    *(
        burn(
            f"five bad minutes, and {share} over the hour, while half an hour looks well",
            {
                GOOD: f"0+{1000 - bad}x20 {20_000 - 20 * bad}+1000x34 {54_000 - 20 * bad}+920x8",
                BAD: f"0+{bad}x20 {20 * bad}x34 {20 * bad}+80x8",
            },
            {"62m": firing},
        )
        for share, bad, firing in (("70 in 1000", 200, (WARNING,)), ("75 in 1000", 220, (CRITICAL, WARNING)))
    ),
    burn(
        "failures more than an hour ago do not make a page of five bad minutes",
        {GOOD: "0+2500x4 10000+5000x13 79600 84200", BAD: "0+2500x4 10000x13 10400 10800"},
        {"100m": (WARNING,)},
        every="5m",
    ),
    burn(
        "three failures of 33 streams page when half an hour looks well and five minutes are empty",
        {GOOD: "0x39 30x20", BAD: "0x4 1x4 2x4 3x45"},
        {"55m": (CRITICAL, WARNING)},
    ),
]

SIX_HOURS_AND_HALF_AN_HOUR = [
    burn(
        "half an hour that looks well is no less well for five empty minutes",
        {GOOD: "0+10x12 120+10x12", BAD: "0+10x12 120x12"},
        {"250m": (WARNING,)},
        every="10m",
    ),
    burn(
        "29 failures in 1000 wait for the morning",
        {GOOD: "0+971x14", BAD: "0+29x14"},
        {"70m": (WARNING,)},
        "5m",
    ),
    burn("31 in 1000 page", {GOOD: "0+969x14", BAD: "0+31x14"}, {"70m": (CRITICAL, WARNING)}, "5m"),
    burn(
        "60 in 1000 over two hours do not page after four good ones",
        {GOOD: "0+1000x16 16000+940x8", BAD: "0x16 0+60x8"},
        {"6h": (WARNING,)},
        every="15m",
    ),
    burn(
        "failures more than six hours ago do not make a page of a bad hour",
        {GOOD: "0+500x6 3000+1000x12 15000+960x3", BAD: "0+500x6 3000x12 3000+40x3"},
        {"690m": (WARNING,)},
        every="30m",
    ),
    burn(
        "the page for a bad hour goes half an hour after it",
        {GOOD: "0+900x12 10800+1000x12", BAD: "0+100x12 1200x12"},
        {"80m": (CRITICAL, WARNING), "85m": (WARNING,)},
        every="5m",
    ),
    burn(
        "a stream every 90 minutes, and each fails: the third pages, and goes on in an empty half hour",
        {GOOD: "0x30", BAD: "0x3 1x8 2x8 3x10"},
        {"210m": NOTHING, "230m": (CRITICAL, WARNING), "280m": (CRITICAL, WARNING)},
        every="10m",
    ),
]

DAY_AND_TWO_HOURS = [
    burn(
        "two hours that look well are no less well for an empty last one",
        {GOOD: "0+10x8 80+10x13 210x2", BAD: "0+10x8 80x16"},
        {"750m": NOTHING},
        every="30m",
    ),
    *(
        burn(
            f"a bad morning, and {share} failures in 1000 over two hours, while six hours look well",
            {
                GOOD: f"0+50x8 400+2000x8 16400+{1000 - share}x4",
                BAD: f"0+50x8 400x8 400+{share}x4",
            },
            {"11h": firing},
            every="30m",
        )
        for share, firing in ((14, NOTHING), (16, (WARNING,)))
    ),
    burn(
        "two bad hours after a morning not so bad",
        {GOOD: "0+85x8 680+2000x8 16680+984x4", BAD: "0+15x8 120x8 120+16x4"},
        {"11h": NOTHING},
        every="30m",
    ),
    burn(
        "two hours that look well are well, whatever their last half hour",
        {GOOD: "0+50x8 400+2000x8 16400+1000x2 19365 20355", BAD: "0+50x8 400x8 400x2 435 445"},
        {"11h": NOTHING},
        every="30m",
    ),
    burn(
        "what failed more than a day ago is of yesterday",
        {GOOD: "0+5000x8 40000+2000x52 144000+984x4", BAD: "0+5000x8 40000x52 40000+16x4"},
        {"33h": NOTHING},
        every="30m",
    ),
    burn(
        "three failures this morning warn on a route that has seen little since, and for two hours nothing",
        {GOOD: "0x20 1x10", BAD: "0 1 2 3x28"},
        {"13h": (WARNING,)},
        every="30m",
    ),
]

THREE_DAYS_AND_SIX_HOURS = [
    burn(
        "six hours that look well are no less well for two empty ones",
        {GOOD: "0+10x4 40+10x9 130x1", BAD: "0+10x4 40x11"},
        {"32h": NOTHING},
        every="2h",
    ),
    *(
        burn(
            f"a bad day, a good one, and {share} failures in 1000 over six hours",
            {
                GOOD: f"0+80x12 960+2000x18 36960+{1000 - share}x3",
                BAD: f"0+20x12 240x18 240+{share}x3",
            },
            {"70h": firing},
            every="2h",
        )
        for share, firing in ((4, NOTHING), (6, (WARNING,)))
    ),
    burn(
        "six bad hours after days that were well on the whole",
        {GOOD: "0+90x12 1080+2000x18 37080+994x3", BAD: "0+10x12 120x18 120+6x3"},
        {"70h": NOTHING},
        every="2h",
    ),
    burn(
        "six hours that look well are well, whatever their last two",
        {GOOD: "0+80x12 960+2000x18 36960+1000x1 38954 39948", BAD: "0+20x12 240x18 240x1 246 252"},
        {"70h": NOTHING},
        every="2h",
    ),
    burn(
        "three failures are told of for three days on a route that sees one success since",
        {GOOD: "0x12 1x9", BAD: "0 1 2 3x20"},
        {"60h": (WARNING,), "88h": NOTHING},
        every="4h",
    ),
]

SENTENCES = [
    *OUTAGES,
    *HOUR_AND_FIVE_MINUTES,
    *SIX_HOURS_AND_HALF_AN_HOUR,
    *DAY_AND_TWO_HOURS,
    *THREE_DAYS_AND_SIX_HOURS,
]


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.says)
def test_the_completion_alert(sentence: Sentence, tmp_path: Path) -> None:
    verdict = told([sentence], alone(rules.render(), sentence.alert), tmp_path)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
