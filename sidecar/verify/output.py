"""The files that a run leaves: its results as JSON, and the two reports made of them."""

from collections.abc import Iterator
from pathlib import Path

from sidecar.verify.report.html.page import page
from sidecar.verify.report.markdown import markdown
from sidecar.verify.results import Results
from sidecar.verify.results_json import to_json

NAME = "sse_test_results"


def write(results: Results, folder: Path) -> Iterator[Path]:
    """Write them into a folder, which is made if need be, and yield the path of each; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"json": to_json(results), "md": markdown([results]), "html": page([results])}
    for suffix, text in texts.items():
        path = folder / f"{NAME}.{suffix}"
        path.write_text(text, encoding="utf-8")
        yield path
