"""Every generated file of this package, and what it has to say."""

from pathlib import Path

from dashboards import grafana, integrity, overview, reconnects, resources
from dashboards.frame import Board, encode

HOME = Path(__file__).parent


def boards() -> list[Board]:
    """Return the four dashboards, in the order in which one reads them; each call makes them anew."""
    return [module.build() for module in (overview, reconnects, integrity, resources)]


def files() -> dict[str, str]:
    """Return the text of every generated file, by its place below ``HOME``."""
    made = {f"generated/{board.uid}.json": encode(board) for board in boards()}
    return made | {f"provisioning/{name}": text for name, text in grafana.files().items()}


def stale(home: Path = HOME) -> dict[Path, str]:
    """Return the files that do not say what they should, with what that is."""
    expected = {home / name: text for name, text in files().items()}
    return {path: text for path, text in expected.items() if not path.exists() or path.read_text() != text}
