"""A fault in the rules makes a sentence false, wherever it is."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import promql_parser
import pytest
import yaml

from alerts import rules
from tests.kit.mutants import Mutant, mutants
from tests.kit.promtool import needs_promtool, told
from tests.monitoring.alerts import (
    test_completion,
    test_down,
    test_integrity,
    test_reconnect,
    test_silent,
)

pytestmark = [pytest.mark.prometheus, needs_promtool, pytest.mark.slow]

SENTENCES = {
    "SSECompletionBudgetBurn": test_completion.SENTENCES,
    "SSEReconnectTooSlow": test_reconnect.SENTENCES,
    "SSEMessageIntegrityViolation": test_integrity.SENTENCES,
    "SSESilentFailure": test_silent.SENTENCES,
    "SSESidecarDown": test_down.SENTENCES,
    "job_route": test_completion.SENTENCES,
    "job_route_side": test_reconnect.SENTENCES,
}
PROCESSES = 2
STRIDE = 9
"""Every so manieth mutant is tried, and so some of each rule; MUTANTS=all tries all, which takes minutes."""

MUTANTS_MIN = 30


def killer(mutant: Mutant, directory: Path) -> str | None:
    """Return the first sentence that is false of a mutant; the cheap ones are asked first."""
    text = yaml.safe_dump(mutant.file)
    sentences = sorted(SENTENCES[mutant.rule.split(":")[0]], key=lambda sentence: sentence.evaluations)
    false = (each.says for each in sentences if told([each], text, directory).returncode)
    return next(false, None)


def test_every_mutant_is_a_rule_file_that_prometheus_would_load() -> None:
    for mutant in mutants(rules.render()):
        for rule in mutant.file["groups"][0]["rules"]:
            promql_parser.parse(rule["expr"])


def test_every_mutant_of_the_rules_is_killed(tmp_path: Path) -> None:
    every = list(mutants(rules.render()))
    tried = every if os.environ.get("MUTANTS") == "all" else every[::STRIDE]
    assert len(tried) >= MUTANTS_MIN
    places = [tmp_path / str(number) for number in range(len(tried))]
    with ThreadPoolExecutor(PROCESSES) as pool:
        killers = list(pool.map(killer, tried, places))
    survivors = [
        f"{mutant.rule}: {mutant.fault}" for mutant, by in zip(tried, killers, strict=True) if not by
    ]
    assert survivors == []
