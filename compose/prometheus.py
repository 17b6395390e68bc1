"""The Prometheus configuration: targets, rules and Alertmanagers."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import sidecar.verify.prometheus
from alerts.duration import duration
from sidecar.observability.slo import SLO
from sidecar.verify.prometheus import CONFIG
from sidecar.verify.prometheus_api import PrometheusApi

USUAL_PORT = 9090


@dataclass(frozen=True, slots=True)
class Scraping:
    """Addresses of each job, rule files by name, and Alertmanagers.

    Intervals in seconds.
    """

    jobs: Mapping[str, Sequence[str]]
    rules: Mapping[str, str] = field(default_factory=dict)
    alertmanagers: Sequence[str] = ()
    scrape_interval_s: float = SLO.scrape_interval_s
    evaluation_interval_s: float = SLO.evaluation_interval_s

    def config(self) -> dict[str, Any]:
        """Return what prometheus.yaml says; rule files are looked for beside it."""
        config: dict[str, Any] = {
            "global": {
                "scrape_interval": duration(self.scrape_interval_s),
                "scrape_timeout": duration(min(10, self.scrape_interval_s)),
                "evaluation_interval": duration(self.evaluation_interval_s),
            },
            "rule_files": list(self.rules),
            "scrape_configs": [_job(name, targets) for name, targets in self.jobs.items()],
        }
        if self.alertmanagers:
            config["alerting"] = {
                "alertmanagers": [{"static_configs": [{"targets": list(self.alertmanagers)}]}]
            }
        return config

    def files(self) -> dict[str, str]:
        """Return the configuration, first, and the rule files."""
        return {CONFIG: yaml.safe_dump(self.config(), sort_keys=False), **self.rules}


def _job(name: str, targets: Sequence[str]) -> dict[str, Any]:
    """Let Prometheus set ``job`` and ``instance``, never the target."""
    return {"job_name": name, "honor_labels": False, "static_configs": [{"targets": list(targets)}]}


def prometheus(
    scraping: Scraping, directory: Path, port: int | None = None
) -> AbstractAsyncContextManager[PrometheusApi]:
    """See :func:`sidecar.verify.prometheus.prometheus`."""
    return sidecar.verify.prometheus.prometheus(scraping.files(), directory, port)
