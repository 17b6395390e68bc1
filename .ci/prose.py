"""Check the project's prose: ``python .ci/prose.py [--write]``, as `make lint` does.

Reads Markdown pages, and docstrings, comments and test names of Python files. A finding is a line
``file:line: rule: text``. `.ci/prose-debt.txt` holds the findings that a file may still have: a file with
more fails, and ``--write`` lowers the numbers of files with fewer. It never raises one.
"""

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEBT = ROOT / ".ci" / "prose-debt.txt"
FOLDERS = (".ci", "alerts", "compose", "dashboards", "docs", "runbooks", "sidecar", "tests")
SKIPPED = frozenset({"node_modules", "__pycache__", "cases"})
PRODUCED = frozenset({"docs/resilience-report.md", "docs/conformance.md"})
"""Pages that a program writes from results."""

WORDS_MAX = 32
"""Words of one sentence: a bound, where about 25 is the aim."""

STOPS_MAX = 2
"""Colons and semicolons of one sentence: a bound, where one is the aim."""

TEST_NAME_CHARS_MAX = 65
SUMMARY_CHARS_MAX = 72
SHOWN_CHARS = 100
FINDINGS_MAX = 40
"""Findings that one run prints of a file."""

WORDS = {
    "again": r"\banew\b",
    "permanently": r"\bfor good\b",
    "automatically": r"\bby (?:itself|themselves|himself)\b",
    "is not": r"(?<!there )(?<!There )\b(?:is|are|was) no (?!longer|more|such|one\b)",
    "name the actor": r"\b(?:[Ww]hoever|[Nn]obody|[Ss]omebody|[Aa]nybody|whom)\b"
    r"|(?:^|[.:;(,] )(?:[Ww]ho) (?!is asked)\w+[^?]*$",
    "send, report, log": r"\b(?:tells?|told)\b",
    "no metaphor": r"\b(?:mends?|mended|misfortunes?|witness(?:es)?|luck|lucky|breath|weather|promises?"
    r"|promised|lies|testimony|errands?|mourn\w*|honest(?:ly)?)\b",
    "must, will": r"\bshall\b",
    "write for the reader": r"\b(?:[Ww]e|[Oo]ur|us)\b",
}
"""What a sentence does not contain, by the rule that says what to write instead."""

PATTERNS = {rule: re.compile(pattern) for rule, pattern in WORDS.items()}
CODE = re.compile(r"``[^`]*``|`[^`]*`|\]\([^)]*\)|<[^>]+>|https?://\S+|\"[^\"]{0,80}\"")
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*\[(])|\n\s*\n|\n\s*(?:[-*|]|\d+\.)\s|\n#+ ")


@dataclass(frozen=True)
class Prose:
    """A text with the line where it begins; ``name`` is a test's name in place of a text."""

    line: int
    text: str
    summary: str = ""
    name: str = ""


@dataclass(frozen=True)
class Finding:
    """A place that breaks a rule."""

    path: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


def python_prose(source: str) -> Iterator[Prose]:
    """Yield docstrings, comments and names of tests of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield Prose(getattr(node.body[0], "lineno", 1), text, summary=text.splitlines()[0])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield Prose(node.lineno, "", name=node.name)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not re.match(r"#\s*(?:noqa|type:|!|:)", token.string):
            yield Prose(token.start[0], token.string.lstrip("# "))


def markdown_prose(source: str) -> Iterator[Prose]:
    """Yield the paragraphs of a page, without blocks of code and front matter."""
    fenced, begun = False, 0
    lines: list[str] = []
    front_matter = FRONT_MATTER.match(source)
    skipped = front_matter[0].count("\n") if front_matter else 0
    for number, line in enumerate([*source.splitlines(), ""], 1):
        if number <= skipped:
            continue
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
            is_prose = False
        else:
            is_prose = not fenced and bool(line.strip())
        if not is_prose:
            if lines:
                yield Prose(begun, "\n".join(lines))
            lines = []
            continue
        if not lines:
            begun = number
        lines.append(line)


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield each sentence of a text with the index where it begins."""
    start = 0
    for between in SENTENCE.finditer(text):
        yield start, text[start : between.start()]
        start = between.end()
    yield start, text[start:]


def check(path: str, prose: Prose) -> Iterator[Finding]:
    """Yield what a text breaks."""
    if prose.name:
        if len(prose.name) > TEST_NAME_CHARS_MAX:
            rule = f"a test name has at most {TEST_NAME_CHARS_MAX} characters"
            yield Finding(path, prose.line, rule, prose.name)
        return
    if len(prose.summary) > SUMMARY_CHARS_MAX:
        yield Finding(
            path, prose.line, f"a first line has at most {SUMMARY_CHARS_MAX} characters", prose.summary
        )
    table = prose.text.lstrip().startswith("|")
    for start, sentence in sentences(prose.text):
        line = prose.line + prose.text.count("\n", 0, start)
        plain, shown = CODE.sub("X", sentence), " ".join(sentence.split())[:SHOWN_CHARS]
        for rule, pattern in PATTERNS.items():
            if pattern.search(plain):
                yield Finding(path, line, rule, shown)
        if not table and len(plain.split()) > WORDS_MAX:
            yield Finding(path, line, f"a sentence has at most {WORDS_MAX} words", shown)
        if not table and len(re.findall(r"[:;](?=\s)", plain)) > STOPS_MAX:
            yield Finding(path, line, "one idea for one sentence", shown)


def files() -> list[Path]:
    """Return the files with prose."""
    found = [*ROOT.glob("*.md")]
    for folder in FOLDERS:
        found += [path for kind in ("*.py", "*.md") for path in (ROOT / folder).rglob(kind)]
    return sorted(path for path in found if not SKIPPED & set(path.parts) and _name(path) not in PRODUCED)


def findings() -> Iterator[Finding]:
    """Yield the findings of all files."""
    for path in files():
        source = path.read_text(encoding="utf-8")
        read = python_prose if path.suffix == ".py" else markdown_prose
        for prose in read(source):
            yield from check(_name(path), prose)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read_debt(text: str) -> dict[str, int]:
    """Return the findings that each file may have; a line is a number and a file."""
    return {path: int(number) for number, path in (line.split() for line in text.splitlines())}


def main(arguments: list[str]) -> int:
    """Print the findings beyond the debt; return the exit status."""
    if arguments not in ([], ["--write"], ["--all"]):
        print("usage: python .ci/prose.py [--write | --all]", file=sys.stderr)
        return 2
    found = list(findings())
    if arguments == ["--all"]:
        print(*found, sep="\n")
        return 0
    counts = Counter(finding.path for finding in found)
    debt = read_debt(DEBT.read_text(encoding="utf-8")) if DEBT.exists() else dict(counts)
    if arguments == ["--write"]:
        kept = {path: min(number, counts[path]) for path, number in debt.items() if counts[path]}
        DEBT.write_text(
            "".join(f"{number} {path}\n" for path, number in sorted(kept.items())), encoding="utf-8"
        )
    above = [path for path in counts if counts[path] > debt.get(path, 0)]
    for path in above:
        print(*[f for f in found if f.path == path][:FINDINGS_MAX], sep="\n")
        print(f"{path}: {counts[path]} findings, {debt.get(path, 0)} allowed; write it in plain English")
    return int(bool(above))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
