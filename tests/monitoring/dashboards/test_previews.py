"""The pictures of the dashboards are there and show the panels of today. Drawing them is `make previews`."""

import json
import re
from pathlib import Path

import pytest

from compose.faults import FAULTS
from dashboards.frame import encode
from dashboards.previews.__main__ import CONTENTS, IMAGES, contents
from dashboards.previews.drawing import WEB
from dashboards.previews.recording import STORY
from dashboards.rendered import boards

PAGE = Path(__file__).parents[3] / "docs" / "dashboards.md"
PNG = b"\x89PNG\r\n\x1a\n"


def test_the_pictures_show_the_panels_that_the_dashboards_have() -> None:
    assert (IMAGES / CONTENTS).read_text() == contents(map(encode, boards()))


def test_the_page_shows_a_picture_of_each_dashboard() -> None:
    shown = re.findall(r"!\[.+\]\((images/.+\.png)\)", PAGE.read_text())
    assert shown == [f"images/{board.uid}.png" for board in boards()]
    for name in shown:
        assert (PAGE.parent / name).read_bytes().startswith(PNG)


def test_the_run_that_is_drawn_is_as_long_as_asked_for_and_knows_its_faults() -> None:
    assert sum(share for share, _ in STORY) == pytest.approx(1)
    assert {fault for _, fault in STORY if fault} <= set(FAULTS)


def test_the_lock_of_the_components_says_what_and_not_from_where() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert all("integrity" in package and "resolved" not in package for package in packages.values())
    assert packages["node_modules/@grafana/ui"]["version"] == "11.6.0"
    assert packages["node_modules/@grafana/data"]["version"] == "11.6.0"
