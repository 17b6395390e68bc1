"""The documentation's tables are the program's: nothing is documented that is not there, and the reverse."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sidecar.cli.reference import FILES, ROOT, SLO_SENTENCES, main, render, table
from sidecar.config.load import load
from sidecar.config.table import ROUTE_SETTINGS, SETTINGS
from sidecar.observability.catalogue import CATALOGUE
from sidecar.observability.errors import every_error
from sidecar.observability.slo import SLO_OBJECTIVES

PAGES = {name: (ROOT / name).read_text() for name in FILES}


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, page in PAGES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(page)
    return tmp_path


def test_the_committed_pages_are_fresh() -> None:
    result = _run("--check")
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    ("name", "current", "stale"),
    [
        ("docs/metrics.md", "sse_log_bytes", "sse_old_name"),
        ("runbooks/errors.md", "* Cause: ", "* Reason: "),
    ],
)
def test_a_stale_page_is_named_and_can_be_brought_up_to_date(
    root: Path, name: str, current: str, stale: str
) -> None:
    page = root / name
    page.write_text(PAGES[name].replace(current, stale))
    refused = _run("--check", "--root", str(root))
    assert refused.exit_code == 1
    assert f"stale: {name};" in refused.output
    assert _run("--write", "--root", str(root)).output == f"wrote {name}\n"
    assert page.read_text() == PAGES[name]


def test_it_wants_to_be_told_what_to_do() -> None:
    assert _run().exit_code == 2


def test_every_setting_is_documented() -> None:
    page = PAGES["docs/configuration.md"]
    assert [row.name for row in (*SETTINGS, *ROUTE_SETTINGS) if f"\n| `{row.name}` |" not in page] == []


def test_every_setting_explains_itself_in_a_sentence() -> None:
    rows = (*SETTINGS, *ROUTE_SETTINGS)
    assert [row.name for row in rows if not re.fullmatch(r"[A-Z`].*\.", row.help)] == []


def test_every_metric_is_documented() -> None:
    assert [metric.name for metric in CATALOGUE if f"`{metric.name}` |" not in PAGES["docs/metrics.md"]] == []


def test_every_error_has_a_section_that_a_link_can_name() -> None:
    headings = re.findall(r"^### (.*)$", PAGES["runbooks/errors.md"], re.MULTILINE)
    assert sorted(headings) == sorted(error.code for error in every_error())


def test_every_code_that_is_written_anywhere_has_an_entry() -> None:
    entries = set(re.findall(r"^### (.*)$", PAGES["runbooks/errors.md"], re.MULTILINE))
    assert _codes_written() - entries == set()


def test_a_code_without_an_entry_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        "`err-sidecar-made-up`, or err-sidecar-internal; all begin with err-sidecar-"
    )
    assert _codes_written(tmp_path) == {"err-sidecar-made-up", "err-sidecar-internal"}


def _codes_written(root: Path = ROOT) -> set[str]:
    """Return every code in sources and pages, the tests' apart."""
    texts = [
        path.read_text()
        for path in root.rglob("*.*")
        if path.suffix in {".py", ".md", ".yaml", ".js", ".html"}
        and not {"tests", "node_modules", ".git"} & set(path.relative_to(root).parts)
    ]
    return {code for text in texts for code in re.findall(r"err-sidecar(?:-[a-z0-9]+)+", text)}


def test_every_objective_has_its_sentence() -> None:
    assert list(SLO_SENTENCES) == list(SLO_OBJECTIVES)


def test_the_example_in_the_page_is_a_valid_configuration(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGES["docs/configuration.md"], re.DOTALL)
    assert example
    file = tmp_path / "sidecar.yaml"
    file.write_text(example[1])
    assert load(file, {}, {}).route_table().names == ("chat", "prices", "default")


def test_a_bar_in_a_cell_does_not_end_the_cell() -> None:
    assert table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |\n"


def test_text_outside_the_markers_stays_as_it_is() -> None:
    page = "# A\n<!-- generated: objectives -->\nstale\n<!-- end -->\nz\n"
    assert render(page).startswith("# A\n<!-- generated: objectives -->\n\n| slo |")
    assert render(page).endswith("<!-- end -->\nz\n")
    assert "stale" not in render(page)


def test_a_marker_for_a_table_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        render("<!-- generated: nothing -->\n<!-- end -->")
