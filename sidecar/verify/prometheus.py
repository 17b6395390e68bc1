"""A real Prometheus on loopback, during a block."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from sidecar.verify.program import HOST, find, free_port, program, write
from sidecar.verify.prometheus_api import PrometheusApi

INSTALL = "apt-get install --no-install-recommends prometheus prometheus-alertmanager"
PROGRAMS = ("prometheus",)
CONFIG = "prometheus.yaml"
RETENTION = "5d"
"""Two days more than the longest window of a rule."""


@asynccontextmanager
async def prometheus(
    files: Mapping[str, str], directory: Path, port: int | None = None
) -> AsyncIterator[PrometheusApi]:
    """Run it with its ``files``, CONFIG among them, during a block.

    What it stores it keeps in ``directory``. :class:`sidecar.verify.program.Missing` if it is not installed.
    """
    path = find(PROGRAMS, INSTALL)
    write(directory, files)
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
