"""Mutants of the rule file: each differs from it in one comparison, selector, factor, window or wait."""

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from typing import Any

import yaml

from sidecar.observability.slo import SLO

Rule = dict[str, Any]

WINDOWS = [window.name for window in SLO.recorded]
READER = {"job_route": "SSECompletionBudgetBurn", "job_route_side": "SSEReconnectTooSlow"}
"""The alert that reads the recordings of a level."""

MATCHER = re.compile(r'\w+(?:=~|!~|!=|=)"[^"]*"(, )?')


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule file with one fault; ``rule`` names the alert or recording that has it, ``fault`` says which."""

    rule: str
    fault: str
    file: Rule


def halved(found: re.Match[str]) -> str:
    """Halve the number found; 0 has no half, and becomes 2."""
    return f"{found[1]}{float(found[2]) / 2 or 2:g}"


def doubled(found: re.Match[str]) -> str:
    """Double the number found; 0 becomes 2."""
    return f"{found[1]}{float(found[2]) * 2 or 2:g}"


def next_window(found: re.Match[str]) -> str:
    """Take the next longer window, or a shorter one where there is none."""
    longer = [*WINDOWS[1:], WINDOWS[-2]]
    return found[1] + longer[WINDOWS.index(found[2])] + found[3]


def window_before(found: re.Match[str]) -> str:
    """Take the next shorter window, or one that has no recording and too few scrapes."""
    shorter = ["1m", *WINDOWS[:-1]]
    return found[1] + shorter[WINDOWS.index(found[2])] + found[3]


Change = str | Callable[[re.Match[str]], str]

OF_ALERTS: tuple[tuple[str, Change], ...] = (
    (r" > ", " < "),
    (r" < ", " > "),
    (r" == ", " != "),
    (r"\band\b", "or"),
    (r"\bor\b", "and"),
    (r"\bunless\b", "and"),
    (r"([<>] |[<>] \(|\* )([\d.]+)", halved),
    (r"([<>] |[<>] \(|\* )([\d.]+)", doubled),
    (r"(_rate)(\w+)( >|\)\))", next_window),
    (r"(_rate)(\w+)( >|\)\))", window_before),
    (r"\[10m\]", "[5m]"),
    (r"\[10m\]", "[20m]"),
    (r"offset 10m", "offset 20m"),
    (r"offset 10m", "offset 5m"),
    (r'"critical"', '"warning"'),
    (r'"warning"', '"critical"'),
    (r"increase", "delta"),
)
OF_RECORDINGS: tuple[tuple[str, Change], ...] = (
    (r"(?<=[mhd]) > 0", ""),
    (r" > ", " < "),
    (r" / ", " * "),
    (r"\n/ ", "\n* "),
    (r"\n- ", "\n+ "),
    (r"\bsum\b", "max"),
    (r'"5.0"', '"4.0"'),
    (r'"5.0"', '"+Inf"'),
    (r"(\[)(\w+)(\])", next_window),
    (r"(\[)(\w+)(\])", window_before),
)
OF_BOTH: tuple[tuple[str, Change], ...] = (
    (r'(?<=")(completed|client_cancelled)\|', ""),
    (r"\|(client_cancelled|client_left)(?=[|\"])", ""),
    (r"=~", "!~"),
    (r"!~", "=~"),
    (r"!=", "="),
    (r'(?<!!)="', '!="'),
    (r", (route|side|reason|kind|instance)(?=[,)])", ""),
)


def mutants(rules: str) -> Iterator[Mutant]:
    """Yield every mutant of a rule file; in recordings a fault is in all windows alike."""
    file = yaml.safe_load(rules)
    for number, rule in enumerate(file["groups"][0]["rules"]):
        if "alert" in rule:
            yield from _alert(file, number)
    bases = [_base(rule.get("record", "")) for rule in file["groups"][0]["rules"]]
    for base in dict.fromkeys(base for base in bases if base.split(":")[0] in READER):
        yield from _recordings(file, base)


def _alert(file: Rule, number: int) -> Iterator[Mutant]:
    """Yield the mutants of one alert."""
    rule: Rule = file["groups"][0]["rules"][number]
    for fault, changed in chain(_expressions(rule["expr"], (*OF_ALERTS, *OF_BOTH)), _waits(rule)):
        mutated = deepcopy(file)
        mutated["groups"][0]["rules"][number] |= changed
        yield Mutant(rule["alert"], fault, _alone(mutated, rule["alert"]))


def _recordings(file: Rule, base: str) -> Iterator[Mutant]:
    """Yield the mutants of one recording, each with the fault in all of its windows."""
    rules = file["groups"][0]["rules"]
    numbers = [number for number, rule in enumerate(rules) if _base(rule.get("record", "")) == base]
    all_changed = [
        list(_expressions(rules[number]["expr"], (*OF_RECORDINGS, *OF_BOTH))) for number in numbers
    ]
    for faults in zip(*all_changed, strict=True):
        mutated = deepcopy(file)
        for number, (_, changed) in zip(numbers, faults, strict=True):
            mutated["groups"][0]["rules"][number] |= changed
        yield Mutant(base, faults[0][0], _alone(mutated, READER[base.split(":", maxsplit=1)[0]]))


def alone(rules: str, alert: str) -> str:
    """Return a rule file with one alert and the recordings that it needs: it is judged sooner."""
    return yaml.safe_dump(_alone(yaml.safe_load(rules), alert))


def _alone(file: Rule, alert: str) -> Rule:
    rules = file["groups"][0]["rules"]
    needed = [rule for rule in rules if rule.get("alert") == alert]
    for rule in reversed(rules):
        if "record" in rule and any(rule["record"] in reader["expr"] for reader in needed):
            needed.insert(0, rule)
    return {"groups": [file["groups"][0] | {"rules": needed}]}


def _base(record: str) -> str:
    """Return a recording's name without its window."""
    return re.sub(r"\d+[mhd]$", "", record)


def _expressions(expr: str, changes: tuple[tuple[str, Change], ...]) -> Iterator[tuple[str, Rule]]:
    """Yield the expression with one place changed."""
    for pattern, change in changes:
        for found in re.finditer(pattern, expr):
            new = change(found) if callable(change) else change
            changed = expr[: found.start()] + new + expr[found.end() :]
            yield f"{_around(expr, found)} -> {new.strip() or 'nothing'}", {"expr": changed}
    for found in MATCHER.finditer(expr):
        if _redundant(expr, found):
            continue
        changed = expr[: found.start()].removesuffix("" if found[1] else ", ") + expr[found.end() :]
        yield f"{_around(expr, found)} -> nothing", {"expr": changed}


def _redundant(expr: str, found: re.Match[str]) -> bool:
    """Tell whether a matcher could as well be missing, because another one does its work.

    Both sides of ``unless`` have the same labels anyway; where two series are matched by their labels, or
    divided by each other, one of them may be of any job and route.
    """
    before, after = expr[: found.start()], expr[found.end() :]
    if re.match(r"[^}]*} offset", after):
        return True
    if found[0].startswith("job=") and re.search(r"or \(\w+{$|time\(\) - process_\w+{$", before):
        return True
    divided = re.search(r"(_bucket|_count|streams_finished_total){[^}]*$", before)
    return bool(divided) and found[0].startswith(("job=", "route!="))


def _around(expr: str, found: re.Match[str]) -> str:
    """Show a place with what stands before and after it."""
    before, after = expr[max(0, found.start() - 30) : found.start()], expr[found.end() : found.end() + 30]
    return " ".join(f"{before}>>>{found[0]}<<<{after}".split())


def _waits(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """Yield the rule's ``for`` and ``keep_firing_for``, a minute shorter and a minute longer."""
    for key in {"for", "keep_firing_for"} & rule.keys():
        minutes = int(rule[key].removesuffix("m"))
        for other in (minutes - 1, minutes + 1):
            yield f"{key} {minutes}m -> {other}m", {key: f"{other}m"}
