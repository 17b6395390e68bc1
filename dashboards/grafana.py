"""Grafana's provisioning: the data source, where the dashboards are read from, and which one is home."""

import yaml

from dashboards.frame import FOLDER, OVERVIEW
from sidecar.config.settings import Settings
from sidecar.observability.slo import SLO

HEAD = "# Made by `python -m dashboards`: change dashboards/grafana.py, not this.\n"
PROMETHEUS = "http://localhost:9090"
DASHBOARDS = "/etc/grafana/provisioning/dashboards/sse"
"""Where Grafana finds the generated dashboards; mount or copy dashboards/generated there."""

SCRAPE_INTERVAL = f"{SLO.scrape_interval_s:g}s"
EXEMPLAR_LABEL = "stream_id"


def files() -> dict[str, str]:
    """Return the content of every provisioning file, by its place below the provisioning directory."""
    return {
        "datasources/sse.yaml": HEAD + EXEMPLARS + _yaml(datasources()),
        "dashboards/sse.yaml": HEAD + _yaml(providers()),
        "grafana.ini": HEAD + home(),
    }


EXEMPLARS = """\
# A dot in a heatmap leads to /streams/<id> on the admin listener of the sidecar, as its reader reaches it;
# `$$` is how Grafana writes `$` in a provisioning file.
"""


def datasources() -> dict[str, object]:
    """Return the data source. Its interval is that of the scrapes: $__rate_interval follows it."""
    admin = Settings.model_fields["admin_listen"].default
    exemplars = {
        "name": EXEMPLAR_LABEL,
        "url": f"http://{admin}/streams/$${{__value.raw}}",
        "urlDisplayLabel": "What happened to this stream",
    }
    source = {
        "name": "Prometheus",
        "uid": "sse-prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": PROMETHEUS,
        "isDefault": True,
        "editable": False,
        "jsonData": {
            "httpMethod": "POST",
            "timeInterval": SCRAPE_INTERVAL,
            "exemplarTraceIdDestinations": [exemplars],
        },
    }
    return {"apiVersion": 1, "datasources": [source]}


def providers() -> dict[str, object]:
    """Return the provider that puts the dashboards into their folder."""
    provider = {
        "name": "sse-sidecar",
        "type": "file",
        "folder": FOLDER,
        "folderUid": "sse",
        "allowUiUpdates": False,
        "disableDeletion": True,
        "options": {"path": DASHBOARDS},
    }
    return {"apiVersion": 1, "providers": [provider]}


def home() -> str:
    """Return what makes the overview the page that Grafana opens with."""
    return f"[dashboards]\ndefault_home_dashboard_path = {DASHBOARDS}/{OVERVIEW}.json\n"


def _yaml(content: dict[str, object]) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, width=120)
    return text
