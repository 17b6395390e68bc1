"""A real Prometheus on loopback, in a directory of its own, for the length of a block."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from alerts.duration import duration
from compose.program import HOST, find, free_port, program, write
from compose.prometheus_api import PrometheusApi
from sidecar.slo import SLO

INSTALL = "apt-get install --no-install-recommends prometheus prometheus-alertmanager"
PROGRAMS = ("prometheus",)
TOOLS = ("promtool",)
USUAL_PORT = 9090
CONFIG = "prometheus.yaml"
RETENTION = "5d"
"""Two days more than the longest window of a rule."""


@dataclass(frozen=True, slots=True)
class Scraping:
    """What a Prometheus reads, evaluates and tells: addresses of each job, rule files by name, Alertmanagers.

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
    """Let ``job`` and ``instance`` be what Prometheus knows, whatever a target says of itself."""
    return {"job_name": name, "honor_labels": False, "static_configs": [{"targets": list(targets)}]}


@asynccontextmanager
async def prometheus(
    scraping: Scraping, directory: Path, port: int | None = None
) -> AsyncIterator[PrometheusApi]:
    """Start it, wait until it is ready, and stop it at the end; it keeps what it stores in ``directory``.

    :class:`compose.program.Missing` where it is not installed.
    """
    path = find(PROGRAMS, INSTALL)
    write(directory, scraping.files())
    address = f"{HOST}:{port or free_port()}"
    command = [
        path,
        f"--config.file={directory / CONFIG}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--storage.tsdb.retention.time={RETENTION}",
        "--enable-feature=exemplar-storage",
        "--web.enable-lifecycle",
        f"--web.listen-address={address}",
        f"--web.external-url=http://{address}/",
        "--log.level=warn",
    ]
    log = directory / "prometheus.log"
    async with (
        program(command, log, f"http://{address}/-/ready"),
        PrometheusApi(f"http://{address}") as api,
    ):
        yield api
