"""A real Alertmanager on loopback, in its own directory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sidecar.verify.program import HOST, find, free_port, program, write
from sidecar.verify.prometheus import INSTALL

PROGRAMS = ("prometheus-alertmanager", "alertmanager")
USUAL_PORT = 9093
CONFIG = "alertmanager.yaml"


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """The address for Prometheus, and the configuration file."""

    url: str
    address: str
    config: Path

    async def alerts(self) -> list[dict[str, object]]:
        """Return its alerts as in its API v2, with suppressed ones."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/api/v2/alerts") as response:
            response.raise_for_status()
            answer: list[dict[str, object]] = await response.json()
            return answer


@asynccontextmanager
async def alertmanager(config: str, directory: Path, port: int | None = None) -> AsyncIterator[Alertmanager]:
    """Run it with a YAML configuration, from ready to the block's end.

    :class:`sidecar.verify.program.Missing` where it is not installed.
    """
    path = find(PROGRAMS, INSTALL)
    write(directory, {CONFIG: config})
    file, log = directory / CONFIG, directory / "alertmanager.log"
    address = f"{HOST}:{port or free_port()}"
    command = [
        path,
        f"--config.file={file}",
        f"--storage.path={directory / 'data'}",
        f"--web.listen-address={address}",
        f"--web.external-url=http://{address}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    async with program(command, log, f"http://{address}/-/ready"):
        yield Alertmanager(f"http://{address}", address, file)
