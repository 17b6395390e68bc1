"""Needs of a test beyond Python and make: ``pytest.mark.needs("chromium", "npm")``.

A need that this machine does not have skips the test, by name and with what to install. The layer of
`make test` leaves out every test that has a need.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

CHROMIUM = "/usr/bin/chromium"
MONITORING = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
RUNBOOK_TOOLS = ("curl", "ps", "awk", "pgrep")
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
CORES_MIN = 2


def _unless(found: object, remedy: str) -> str:
    return "" if found else remedy


def _nginx() -> str:
    from tests.bench.proxies import SEARCH_PATH  # noqa: PLC0415 - only tests that need it pay for the import

    return _unless(shutil.which("nginx", path=SEARCH_PATH), "nginx: apt-get install nginx-light")


def _node() -> str:
    from tests.clients.js import node  # noqa: PLC0415

    return node.missing()


def _npm() -> str:
    from tests.clients.js import node  # noqa: PLC0415
    from tests.clients.sdk import node_sdks  # noqa: PLC0415

    return node.missing_tools() or node_sdks.missing()


def _prometheus() -> str:
    from sidecar.verify.prometheus import INSTALL  # noqa: PLC0415

    return _unless(all(map(shutil.which, MONITORING)), f"Prometheus and Alertmanager: {INSTALL}")


def _real_network() -> str:
    from sidecar.faultnet.real_path import why_not  # noqa: PLC0415

    return why_not()


NEEDS: dict[str, Callable[[], str]] = {
    "chromium": lambda: _unless(shutil.which(CHROMIUM), f"{CHROMIUM}: apt-get install chromium"),
    "cores": lambda: _unless(len(os.sched_getaffinity(0)) >= CORES_MIN, f"{CORES_MIN} cores"),
    "curl": lambda: _unless(
        all(map(shutil.which, RUNBOOK_TOOLS)), "curl and procps: apt-get install curl procps"
    ),
    "faketime": lambda: _unless(FAKETIME, "libfaketime: apt-get install faketime"),
    "nginx": _nginx,
    "node": _node,
    "npm": _npm,
    "openssl": lambda: _unless(shutil.which("openssl"), "openssl: apt-get install openssl"),
    "prometheus": _prometheus,
    "real_network": _real_network,
}
"""Each need with a function that says what this machine lacks; nothing if it lacks nothing."""


def needs_of(item: pytest.Item) -> set[str]:
    """Return what a test needs; raise UsageError for a need that is not in the table."""
    names = {name for marker in item.iter_markers("needs") for name in marker.args}
    if unknown := names - NEEDS.keys():
        raise pytest.UsageError(f"{item.nodeid} needs {sorted(unknown)}: not in tests/kit/needs.py")
    return names
