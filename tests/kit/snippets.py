"""The files that a page of docs/ shows, taken from it: ``<!-- file: NAME -->`` and the fenced block below."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets(page: str) -> dict[str, str]:
    """Return name -> content of the files that a page shows."""
    return dict(FILE.findall((DOCS / page).read_text(encoding="utf-8")))
