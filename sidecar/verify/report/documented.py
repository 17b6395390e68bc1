"""The generated rows of the tables in docs/verify.md."""

from collections.abc import Iterator

import click

from sidecar.faultnet.real_path import PIECES as REAL
from sidecar.faultnet.userspace_path import PIECES as USERSPACE
from sidecar.verify.scenarios import SCENARIOS, ScenarioPart

SCENARIO_HEAD = ("Scenario", "`--scenario`", "What happens", "What is promised")
OPTION_HEAD = ("Option", "Default", "What it does")
PATH_HEAD = ("Impairment", "`--path real`", "`--path userspace`")


def scenario_rows() -> Iterator[list[str]]:
    """Yield a row for each scenario: its parts, and its requirement."""
    for each in SCENARIOS:
        parts = (part for round_ in each.rounds for part in round_)
        happens = "; ".join(dict.fromkeys(map(_happens, parts)))
        yield [f"{each.number}. {each.title}", f"`{each.name}`", happens, each.promise]


def _happens(part: ScenarioPart) -> str:
    asks = {"own": " (own backends only)", "sidecar": " (behind a sidecar only)", "any": ""}
    return part.name + asks[part.needs]


def option_rows(command: click.Command) -> Iterator[list[str]]:
    """Yield a row for each option of a command."""
    for option in command.params:
        if isinstance(option, click.Option) and option.help:
            names = ", ".join(f"`{name}`" for name in option.opts)
            said, _, default = option.help.partition("  [default: ")
            yield [names, default.removesuffix("]") or _default(option), said]


def _default(option: click.Option) -> str:
    return str(option.default) if option.show_default and option.default is not None else "-"


def path_rows() -> Iterator[list[str]]:
    """Yield for each impairment what makes it, on either path."""
    for name in {**REAL, **USERSPACE}:
        yield [name, REAL.get(name, "-"), USERSPACE.get(name, "-")]
