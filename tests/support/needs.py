"""What a test needs beyond Python and make: ``pytest.mark.needs("chromium", "npm")``.

A need that this machine does not have skips the test, by name and with what to install. The layer of
`make test` leaves out every test that has a need.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.verify.net.real_path import why_not
from sidecar.verify.prometheus import INSTALL
from tests.bench.proxies import SEARCH_PATH
from tests.js import node
from tests.sdk import node_sdks

CHROMIUM = "/usr/bin/chromium"
MONITORING = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
RUNBOOK_TOOLS = ("curl", "ps", "awk", "pgrep")
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
CORES_MIN = 2


def _unless(found: object, remedy: str) -> str:
    return "" if found else remedy


NEEDS: dict[str, Callable[[], str]] = {
    "chromium": lambda: _unless(shutil.which(CHROMIUM), f"{CHROMIUM}: apt-get install chromium"),
    "cores": lambda: _unless(len(os.sched_getaffinity(0)) >= CORES_MIN, f"{CORES_MIN} cores"),
    "curl": lambda: _unless(
        all(map(shutil.which, RUNBOOK_TOOLS)), "curl and procps: apt-get install curl procps"
    ),
    "faketime": lambda: _unless(FAKETIME, "libfaketime: apt-get install faketime"),
    "nginx": lambda: _unless(shutil.which("nginx", path=SEARCH_PATH), "nginx: apt-get install nginx-light"),
    "node": node.missing,
    "npm": lambda: node.missing_tools() or node_sdks.missing(),
    "openssl": lambda: _unless(shutil.which("openssl"), "openssl: apt-get install openssl"),
    "prometheus": lambda: _unless(
        all(map(shutil.which, MONITORING)), f"Prometheus and Alertmanager: {INSTALL}"
    ),
    "real_network": why_not,
}
"""Each need with a function that says what this machine lacks; nothing if it lacks nothing."""


def needs_of(item: pytest.Item) -> set[str]:
    """Return what a test needs; raise KeyError for a need that is not in the table."""
    names = {name for marker in item.iter_markers("needs") for name in marker.args}
    if unknown := names - NEEDS.keys():
        raise KeyError(f"{item.nodeid} needs {sorted(unknown)}: not in tests/support/needs.py")
    return names
