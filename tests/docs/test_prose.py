"""The checker of the prose: what it finds, where, and that the debt only falls."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "prose.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prose"] = module
    spec.loader.exec_module(module)
    return module


prose = _load()


def rules(text: str) -> list[str]:
    return [f.rule for part in prose.markdown_prose(text) for f in prose.check("page.md", part)]


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [
        ("The backend began anew.", "again"),
        ("It gives up for good.", "permanently"),
        ("A client recovers by itself.", "automatically"),
        ("It is no stream.", "is not"),
        ("Nobody reads it.", "name the actor"),
        ("Who comes back gets a heartbeat.", "name the actor"),
        ("The client is told.", "send, report, log"),
        ("The zeros have witnesses.", "no metaphor"),
        ("A client shall resume.", "must, will"),
        ("We resume the stream.", "write for the reader"),
        ("word " * 40, f"a sentence has at most {prose.WORDS_MAX} words"),
        ("One: two; three: four.", "one idea for one sentence"),
    ],
)
def test_a_sentence_that_breaks_a_rule_is_found(sentence: str, rule: str) -> None:
    assert rules(sentence) == [rule]


@pytest.mark.parametrize(
    "text",
    [
        "A client that resumes receives a heartbeat.",
        "There is no limit.",
        "```\nNobody shall read this anew.\n```",
        "The message is `Nobody is told`.",
        "Who is asked to resume?",
    ],
)
def test_plain_sentences_and_code_have_no_findings(text: str) -> None:
    assert rules(text) == []


def test_docstrings_comments_and_test_names_are_read() -> None:
    source = f'"""{"x" * 80}"""\n\n\ndef test_{"y" * 70}() -> None:\n    pass  # nobody reads this\n'
    found = [(f.line, f.rule) for part in prose.python_prose(source) for f in prose.check("a.py", part)]
    assert found == [
        (1, f"a first line has at most {prose.SUMMARY_CHARS_MAX} characters"),
        (4, f"a test name has at most {prose.TEST_NAME_CHARS_MAX} characters"),
        (5, "name the actor"),
    ]


def test_a_finding_in_a_second_paragraph_has_its_line() -> None:
    (found,) = [
        f for part in prose.markdown_prose("Good.\n\nGood.\nNobody reads.\n") for f in prose.check("p", part)
    ]
    assert found.line == 4


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one page."""
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    monkeypatch.setattr(prose, "DEBT", tmp_path / "debt.txt")
    return tmp_path / "page.md"


def test_a_file_above_its_debt_fails(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page.write_text("Nobody reads.\n\nIt began anew.\n")
    prose.DEBT.write_text("1 page.md\n")
    assert prose.main([]) == 1
    assert "page.md:1: name the actor" in capsys.readouterr().out


def test_the_debt_falls_and_never_rises(page: Path) -> None:
    page.write_text("Nobody reads.\n")
    prose.DEBT.write_text("3 page.md\n2 gone.md\n")
    assert prose.main(["--write"]) == 0
    assert prose.DEBT.read_text() == "1 page.md\n"
    page.write_text("Nobody reads.\n\nIt began anew.\n")
    assert prose.main(["--write"]) == 1
    assert prose.DEBT.read_text() == "1 page.md\n"


def test_a_wrong_option_prints_the_usage() -> None:
    assert prose.main(["--no"]) == 2
