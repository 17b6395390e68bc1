"""docs/reports.md says what the parser takes and what the counters count."""

import json
import re
from pathlib import Path

import pytest

from sidecar.observability.labels import ReportVerdict
from sidecar.proxy.client_reports import NOTES_PER_STREAM_MAX, REPORTS_PER_STREAM_MAX
from sidecar.proxy.report import (
    FIELDS,
    GAPS_ALL,
    GAPS_MAX,
    OCCASIONS,
    RECONNECT_S_MAX,
    RECONNECTS_MAX,
    REPORT_BYTES_MAX,
    STATES,
    parse,
)
from sidecar.streams.subscribers import GOODBYE_S
from tests.kit.reporting import STREAM

PAGE = (Path(__file__).parents[2] / "docs" / "reports.md").read_text()


def rows(heading: str) -> dict[str, str]:
    """Return the table whose first column has a heading: name -> the rest of the row."""
    table = re.search(rf"^\| {heading} \|.*\n\| ---.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", table[1], re.MULTILINE))


def test_the_example_is_a_report() -> None:
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    assert parse(example[1].encode()) is not None


def test_the_report_to_paste_is_one_once_it_has_a_token() -> None:
    pasted = re.search(r"'(\{\"v\".*\})'", PAGE)
    assert pasted is not None
    assert parse(pasted[1].replace("<SSE-Stream>", STREAM).encode()) is not None


def test_every_field_is_in_the_table_and_no_other() -> None:
    fields = rows("field")
    assert list(fields) == list(FIELDS)
    assert set(re.findall(r"`([a-z]+)`", fields["state"])) == STATES
    assert set(re.findall(r"`([a-z]+)`", fields["at"])) == OCCASIONS


def test_every_verdict_is_in_the_table_and_no_other() -> None:
    assert list(rows("verdict")) == list(ReportVerdict)


@pytest.mark.parametrize(
    ("field", "bounds"),
    [("gaps", {GAPS_MAX, GAPS_ALL}), ("reconnects", {RECONNECTS_MAX, RECONNECT_S_MAX})],
)
def test_the_bounds_of_a_list_are_in_its_row(field: str, bounds: set[int]) -> None:
    assert bounds <= {int(number) for number in re.findall(r"\d+", rows("field")[field])}


def test_the_other_bounds_are_on_the_page() -> None:
    stated = re.findall(r"(\d+) (bytes|reports|lines|s)\b", PAGE)
    assert {
        (str(REPORT_BYTES_MAX), "bytes"),
        (str(REPORTS_PER_STREAM_MAX), "reports"),
        (str(NOTES_PER_STREAM_MAX), "lines"),
        (f"{GOODBYE_S:g}", "s"),
    } <= set(stated)


def test_the_example_token_has_the_length_in_the_table() -> None:
    assert rows("field")["stream"].endswith(f"| {len(STREAM)} characters")
    assert len(json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])["stream"]) == len(STREAM)
