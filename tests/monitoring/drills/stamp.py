"""Writes what a drill measured into the front matter of its runbook."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import yaml

_stamp = re.compile(r"^drilled:.*?(?=^---$)", re.MULTILINE | re.DOTALL)


def stamped(
    page: str, *, on: date, commit: str, speed: float, causes: Mapping[str, Mapping[str, float]]
) -> str:
    """Return a runbook with a new stamp: when, of which commit, at which speed, each cause with its times."""
    times = {name: dict(measured) for name, measured in causes.items()}
    stamp: dict[str, Any] = {"date": on, "commit": commit, "speed": speed, "causes": times}
    text = yaml.safe_dump({"drilled": stamp}, sort_keys=False, width=1_000)
    made, count = _stamp.subn(lambda _: text, page, count=1)
    if not count:
        raise ValueError("no `drilled:` at the end of the front matter")
    return made
