"""The report says what the results say: every number of it is theirs, and nothing of theirs is markup."""

import json
import random
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from sidecar.verify.report.html.page import page
from sidecar.verify.report.markdown import markdown
from sidecar.verify.results import Results, ScenarioResult
from tests.kit.verify_results import results

NUMBER = re.compile(r"(?<![\w.#&])\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?")
MIB = 1 << 20
JSON = TypeAdapter(Results)

HOSTILE = """<script>alert()</script> & "quoted" | `code` * [a](b) \\ \n# head"""
WORDS = {
    "title",
    "promise",
    "reasons",
    "not_checked",
    "url",
    "sentence",
    "what",
    "rule",
    "failure",
    "command",
}
SHARES = {"completion", "completion_min", "loss"}


def _json(run: Results) -> Any:
    return json.loads(JSON.dump_json(run))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


class KnownNumbers:
    """What a report may say: the numbers of some results, and the counts that are documented as derived."""

    def __init__(self, runs: list[Results]) -> None:
        found = [leaf for run in runs for leaf in _leaves(_json(run))]
        numbers = [*(leaf for leaf in found if isinstance(leaf, (int, float))), *_derived(runs)]
        self.shown = sorted(number * scale for number in numbers for scale in (1, 100, 1 / MIB))
        self.words = {word for leaf in found if isinstance(leaf, str) for word in NUMBER.findall(leaf)}

    def has(self, shown: str) -> bool:
        """Tell whether a number in a report is one of theirs, cut or rounded; or as per cent, or as MiB."""
        if shown in self.words:
            return True
        value = float(shown.replace(",", ""))
        digits = shown.partition("e")[0].partition(".")[2]
        near = max(10 ** -len(digits), abs(value) * 1e-3 if "e" in shown or len(digits) > 2 else 0)
        near *= 1 + 1e-9
        return bisect_left(self.shown, value - near) != bisect_right(self.shown, value + near)


def _derived(runs: list[Results]) -> Iterator[int]:
    """Yield what a report counts: verdicts, reconnects, those above 5 s, breaches, marks of a course."""
    for run in runs:
        for load in run.loads:
            yield from _of_reconnects(load.reconnects_s)
        for target in run.targets:
            yield len(target.scenarios)
            yield sum(each.verdict == "failed" for each in target.scenarios)
            for each in target.scenarios:
                yield from _of_scenario(each)


def _of_reconnects(times: list[float]) -> Iterator[int]:
    yield len(times)
    yield sum(each > 5 for each in times)


def _of_scenario(each: ScenarioResult) -> Iterator[int]:
    yield from _of_reconnects(each.reconnects_s)
    yield from Counter(breach.rule for breach in each.breaches).values()
    yield from (len(each.reconnects_s), len(each.detections_s), len(each.recoveries_s))
    yield from (sum(mark.kind == kind for mark in each.timeline.marks) for kind in ("asked", "event"))


def _text(html: str) -> str:
    """Return what a reader of a page reads or hears: without styles, and without the figures of the axes."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    body = re.sub(r'<text [^>]*class="tick">[^<]*</text>', "", body)
    heard = " ".join(re.findall(r'aria-label="([^"]*)"', body))
    return unescape(re.sub(r"<[^>]*>", " ", body) + " " + heard)


ALWAYS = ("5", "95", "3")
"""The objective for reconnects, p95, and the 3 of the name Slow 3G, which every report has."""


def _unknown(text: str, runs: list[Results]) -> list[str]:
    known = KnownNumbers(runs)
    return [shown for shown in NUMBER.findall(text) if shown not in ALWAYS and not known.has(shown)]


def test_every_number_of_the_page_is_in_the_results() -> None:
    assert _unknown(_text(page([results()])), [results()]) == []


def test_every_number_of_the_markdown_is_in_the_results() -> None:
    assert _unknown(markdown([results()]), [results()]) == []


@pytest.mark.slow
@settings(max_examples=8)
@given(st.integers(min_value=0))
def test_whatever_the_results_are_every_number_is_theirs(seed: int) -> None:
    runs = [_shaken(seed), _shaken(seed + 1)]
    assert _unknown(_text(page(runs)), runs) == []
    assert _unknown(markdown(runs), runs) == []


def _shaken(seed: int) -> Results:
    """Return results with other numbers, and with words that a report must not take for its own."""
    return JSON.validate_python(_other(_json(results()), random.Random(seed)))


def _other(value: Any, chance: random.Random, key: str = "") -> Any:
    match value:
        case dict():
            return {name: _other(each, chance, name) for name, each in value.items()}
        case list():
            return [_other(each, chance, key) for each in value]
        case bool() | None:
            return value
        case int():
            return chance.choice((0, 1, chance.randrange(10**5)))
        case float():
            top = 1 if key in SHARES else chance.choice((1e-3, 1, 10, 1e4))
            return chance.choice((0.0, 1.0, chance.uniform(0, top)))
        case _:
            return value + HOSTILE if key in WORDS else value


def test_a_number_that_is_not_in_the_results_is_found() -> None:
    assert _unknown("4,972 of 4,981 were 99.8 %, in 8.53 s", [results()]) == ["8.53"]


def _head(html: str) -> list[str]:
    return [
        unescape(re.sub("<[^>]*>", "", head)).strip()
        for head in re.findall(r"<h[12][^>]*>(.*?)</h[12]>", html)
    ]


class TestReportPage:
    def test_it_has_a_section_for_each_load_and_each_scenario(self) -> None:
        assert _head(page([results()])) == [
            "SSE resilience test report ✓ passed",
            "People at the sidecar",
            "In pictures",
            "1. Slow 3G",
            "2. Stall",
            "3. 10 % packet loss",
            "4. Network handoff",
            "5. Rapid reconnects",
            "6. User experience",
            "How it was made",
        ]

    def test_the_verdicts_stand_side_by_side_each_failure_with_its_reason(self) -> None:
        table = re.search(r'<table class="verdicts".*?</table>', page([results()]), re.DOTALL)
        assert table is not None
        rows = [re.findall(r"<td.*?</td>", row) for row in re.findall(r"<tr.*?</tr>", table[0])]
        verdicts = [[re.search("passed|failed", cell)[0] for cell in row] for row in rows[1:]]  # type: ignore[index]
        assert verdicts == [
            ["passed", "passed"],
            ["failed", "passed"],
            ["failed", "passed"],
            ["failed", "passed"],
            ["passed", "passed"],
            ["failed", "passed"],
        ]
        assert all(("<li>" in cell) == ("failed" in cell) for row in rows[1:] for cell in row)

    def test_it_needs_nothing_but_itself(self) -> None:
        html = page([_shaken(3)])
        assert re.findall(r"<script|<link|<img|<iframe|\ssrc=|url\(|@import|\son\w+=", html) == []
        assert "default-src 'none'" in html

    def test_what_results_say_is_text_and_never_markup(self) -> None:
        html = page([_shaken(3)])
        tags = set(re.findall(r"<(\w+)", html))
        assert tags == set(re.findall(r"<(\w+)", page([results()])))
        assert "&lt;script&gt;alert()" in html

    def test_its_links_lead_to_its_sections_and_no_name_is_given_twice(self) -> None:
        html = page([results(), results(8)])
        names = re.findall(r' id="([^"]+)"', html)
        assert len(names) == len(set(names))
        assert {link.removeprefix("#") for link in re.findall(r'href="([^"]+)"', html)} == set(names)

    def test_of_nothing_it_is_a_page_all_the_same(self) -> None:
        empty = replace(results(), targets=[], loads=[], path=None)
        assert _head(page([empty])) == ["SSE resilience test report ✓ passed", "How it was made"]

    def test_the_same_results_make_the_same_page(self) -> None:
        assert page([results()]) == page([JSON.validate_python(_json(results()))])


class TestMarkdown:
    def test_every_row_of_a_table_has_as_many_cells_as_its_head(self) -> None:
        tables = re.findall(r"(?:^\|.*\n)+", markdown([_shaken(5)]), re.MULTILINE)
        widths = [{len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()} for table in tables]
        assert all(len(width) == 1 for width in widths)

    def test_what_results_say_is_text_and_never_markup(self) -> None:
        text = markdown([_shaken(5)]).partition("## How it was made")[0]
        assert re.findall(r"(?<!\\)<script|^# head", text, re.MULTILINE) == []

    def test_the_same_results_make_the_same_text(self) -> None:
        assert markdown([results()]) == markdown([JSON.validate_python(_json(results()))])
