"""A runbook as a program reads it: its facts, its questions, its ways out, and every command in it.

The form is that of runbooks/TEMPLATE.md; what does not follow it raises :class:`NotInForm`.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "runbooks"

SECTIONS = (
    "Summary",
    "Impact",
    "First five minutes",
    "Diagnosis",
    "Mitigation",
    "Verify recovery",
    "Escalate",
    "False alarms and silencing",
    "Afterwards",
)
NOTHING = "nothing"
"""The answer of a command that prints nothing."""

_fence = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_row = re.compile(r"^\| (D\d+)\. (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
_otherwise = re.compile(r"`(.+)`: \[(M\d+)\]\((#[^)]+)\)")
_see = re.compile(r"\*\*See\*\* within (\d+) s (any status but )?`(.+?)`")


class NotInForm(ValueError):
    """A part of a runbook that is not as the template has it."""


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block: its language and its text, without indentation."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class ExpectedOutput:
    """What a command should print: a pattern in which ``...`` stands for anything, or nothing at all."""

    pattern: str
    negated: bool = False

    def fits(self, printed: str) -> bool:
        """Tell whether some output is this answer."""
        if self.pattern == NOTHING:
            return not printed.strip()
        wanted = ".*".join(map(re.escape, self.pattern.split("...")))
        return bool(re.search(wanted, printed)) is not self.negated


@dataclass(frozen=True, slots=True)
class DiagnosisRow:
    """A row of the diagnosis. ``commands`` has the one that answers it first, then those that say more."""

    name: str
    ask: str
    healthy: ExpectedOutput
    otherwise: ExpectedOutput
    mitigation: str
    anchor: str
    commands: list[str]


@dataclass(frozen=True, slots=True)
class Mitigation:
    """A way out: the setting to write, if it takes one, the commands, and what should be seen when."""

    name: str
    title: str
    text: str
    setting: dict[str, Any] | None
    commands: list[str]
    see: str
    seen: ExpectedOutput
    within_s: float
    undo: list[str]


class Runbook:
    """One file of runbooks/, as text."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    @classmethod
    def read(cls, alert: str) -> "Runbook":
        """Read the runbook of an alert."""
        return cls(alert, (RUNBOOKS / f"{alert}.md").read_text())

    @cached_property
    def front(self) -> dict[str, Any]:
        """The facts at the top."""
        match = re.match(r"---\n(.*?)\n---\n", self.text, re.DOTALL)
        facts = yaml.safe_load(match[1]) if match else None
        if not isinstance(facts, dict):
            raise NotInForm(f"{self.name}: no front matter")
        return facts

    @cached_property
    def sections(self) -> dict[str, str]:
        """The text below each heading of the second level, in order; below no heading: the preamble."""
        parts = re.split(r"^## (.+)$", self.text, flags=re.MULTILINE)
        return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}

    @cached_property
    def preamble(self) -> str:
        """What is pasted first."""
        return _only(self.name, "preamble", _blocks(self.sections[""], "bash"))

    @cached_property
    def questions(self) -> list[DiagnosisRow]:
        """The rows of the diagnosis."""
        text = self.sections["Diagnosis"]
        parts = re.split(r"^\*\*(D\d+)\*\*", text, flags=re.MULTILINE)
        commands = {name: _blocks(part, "bash") for name, part in zip(parts[1::2], parts[2::2], strict=True)}
        rows = _row.findall(text)
        if [row[0] for row in rows] != list(commands):
            raise NotInForm(f"{self.name}: the table asks {[row[0] for row in rows]}, there is {[*commands]}")
        return [self._question(row, commands[row[0]]) for row in rows]

    def _question(self, row: tuple[str, str, str, str], commands: list[str]) -> DiagnosisRow:
        name, ask, healthy, otherwise = row
        match = _otherwise.fullmatch(otherwise)
        if not match or not commands:
            raise NotInForm(
                f"{self.name}: {name} needs a command, and `answer`: [Mn](#anchor); has {otherwise!r}"
            )
        answer = ExpectedOutput(healthy.strip("`"))
        return DiagnosisRow(name, ask, answer, ExpectedOutput(match[1]), match[2], match[3], commands)

    @cached_property
    def mitigations(self) -> dict[str, Mitigation]:
        """The ways out by their names."""
        parts = re.split(r"^### (M\d+): (.+)$", self.sections["Mitigation"], flags=re.MULTILINE)
        found = zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
        return {name: self._mitigation(name, title, text) for name, title, text in found}

    def _mitigation(self, name: str, title: str, text: str) -> Mitigation:
        parts = re.split(r"^(?=\*\*(?:When|Do|See|Undo|Risk)\*\*)", text, flags=re.MULTILINE)[1:]
        by_label = {part[2 : part.index("**", 2)]: part for part in parts}
        if list(by_label) != ["When", "Do", "See", "Undo", "Risk"]:
            raise NotInForm(f"{self.name}: {name} has {list(by_label)}")
        seen = _see.match(by_label["See"])
        if not seen:
            raise NotInForm(f"{self.name}: {name} does not say what is seen when")
        settings = _blocks(by_label["Do"], "yaml")
        return Mitigation(
            name,
            title,
            text,
            yaml.safe_load(settings[0]) if settings else None,
            _blocks(by_label["Do"], "bash"),
            _only(self.name, f"{name} See", _blocks(by_label["See"], "bash")),
            ExpectedOutput(seen[3], negated=bool(seen[2])),
            float(seen[1]),
            _blocks(by_label["Undo"], "bash"),
        )

    @cached_property
    def first_checks(self) -> list[str]:
        """The commands of the first five minutes."""
        return _blocks(self.sections["First five minutes"], "bash")

    @cached_property
    def verify(self) -> str:
        """The command that shows recovery, once it prints ``=> 1``."""
        return _only(self.name, "Verify recovery", _blocks(self.sections["Verify recovery"], "bash"))

    @property
    def commands(self) -> list[str]:
        """Every command after the preamble, in order."""
        return _blocks(self.text, "bash")[1:]

    @property
    def promql(self) -> list[str]:
        """Every block of PromQL."""
        return _blocks(self.text, "promql")

    @property
    def settings(self) -> list[str]:
        """Every block of YAML."""
        return _blocks(self.text, "yaml")


def _blocks(text: str, language: str) -> list[str]:
    return [dedent(found[3]) for found in _fence.finditer(text) if found[2] == language]


def _only(name: str, place: str, blocks: list[str]) -> str:
    if len(blocks) != 1:
        raise NotInForm(f"{name}: {place} needs exactly one command, has {len(blocks)}")
    return blocks[0]
