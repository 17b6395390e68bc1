"""The files of a run: results as JSON, and two reports."""

from collections.abc import Iterator
from pathlib import Path

from sidecar.verify.report.html.page import page
from sidecar.verify.report.markdown import markdown
from sidecar.verify.results import Results
from sidecar.verify.results_json import to_json

NAME = "sse_test_results"


def write(results: Results, folder: Path) -> Iterator[Path]:
    """Write them into a folder and yield the path of each.

    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"json": to_json(results), "md": markdown([results]), "html": page([results])}
    for suffix, text in texts.items():
        path = folder / f"{NAME}.{suffix}"
        path.write_text(text, encoding="utf-8")
        yield path
