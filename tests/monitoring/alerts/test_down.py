"""SSESidecarDown: a target that does not answer, or that nobody is told of any more, pages after a minute."""

from pathlib import Path

import pytest

from alerts import rules
from tests.kit.mutants import alone
from tests.kit.promtool import Sentence, needs_promtool, series, told

pytestmark = [pytest.mark.prometheus, needs_promtool]

NOTHING: tuple[str, ...] = ()
DOWN = 'instance="a", severity="critical"'
ABSENT = 'severity="critical"'


def down(says: str, given: dict[str, str], firing: dict[str, tuple[str, ...]]) -> Sentence:
    return Sentence(says, "SSESidecarDown", given, firing, "15s")


SENTENCES = [
    down("a sidecar that answers wakes nobody", {series("up"): "1x40"}, {"10m": NOTHING}),
    down(
        "one that does not is given a minute, and then pages",
        {series("up"): "1x19 0x20"},
        {"345s": NOTHING, "6m": (DOWN,)},
    ),
    down(
        "one that answers again is forgiven at once",
        {series("up"): "0x19 1x20"},
        {"285s": (DOWN,), "5m": NOTHING},
    ),
    down(
        "a single missed scrape wakes nobody",
        {series("up"): "1x10 0 1x10 0 0 0 1x10"},
        {"345s": NOTHING, "6m": NOTHING},
    ),
    down(
        "one of two is told of by name",
        {series("up"): "0x40", series("up", instance="b"): "1x40"},
        {"5m": (DOWN,)},
    ),
    down(
        "no target at all is given a minute, and then pages",
        {series("up", job="elsewhere"): "1x40"},
        {"45s": NOTHING, "1m": (ABSENT,)},
    ),
    down(
        "a target that is taken out of the configuration pages too",
        {series("up"): "1x19 stale", series("up", job="elsewhere"): "0x60"},
        {"345s": NOTHING, "6m": (ABSENT,)},
    ),
]


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.says)
def test_the_down_alert(sentence: Sentence, tmp_path: Path) -> None:
    verdict = told([sentence], alone(rules.render(), sentence.alert), tmp_path)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
