"""docs/conformance.md: its table is that of the results beside it, its servers those that are started."""

import pytest

from tests.docs.conformance.peers import PEERS
from tests.docs.conformance.table import OWN, PAGE, RESULTS, render
from tests.kit.snippets import DOCS

RUN = (DOCS / RESULTS).read_text(encoding="utf-8")


def test_the_table_is_made_of_the_results() -> None:
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    assert render(page, DOCS) == page


@pytest.mark.parametrize("name", [*OWN.values(), *(peer.name for peer in PEERS)])
def test_every_server_has_its_row(name: str) -> None:
    assert f"\n| {name} | " in (DOCS / PAGE).read_text(encoding="utf-8")
    assert f'"name": "{name}"' in RUN


def test_every_package_is_in_the_command_that_installs_them() -> None:
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    assert [peer.package for peer in PEERS if f" {peer.package}" not in page] == []


def test_the_results_name_no_place_of_the_machine_that_made_them() -> None:
    assert "/tmp/" not in RUN
    assert "/home/" not in RUN
