"""Import the dashboards into a real Grafana, read them back, compare: `python -m dashboards.verify`.

For machines that can run Grafana's image; ``--url`` names a Grafana that runs already.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import click

from dashboards.frame import FOLDER
from dashboards.rendered import HOME
from sidecar.verify.program import HOST, free_port

IMAGE = "docker.io/grafana/grafana:11.6.0"
"""The version whose components draw the previews."""

USER, PASSWORD = "admin", "admin"
"""What a new Grafana begins with."""
FOLDER_UID = "sse"
READY_S = 90.0
POLL_S = 0.5
ANSWER_S = 30
PULL_S = 600
KEPT_BY_GRAFANA = ("id", "version")
"""Keys that Grafana sets itself."""

Json = dict[str, Any]


class NotVerified(Exception):
    """Nothing could be compared; the message says why, and what would help."""


class Grafana:
    """The HTTP API of a Grafana (https://grafana.com/docs/grafana/v11.6/developers/http_api/)."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def ready(self) -> None:
        """Wait until it answers."""
        end = asyncio.get_running_loop().time() + READY_S
        while not await self._healthy():
            if asyncio.get_running_loop().time() > end:
                raise NotVerified(f"no Grafana at {self._url} after {READY_S:g} s")
            await asyncio.sleep(POLL_S)

    async def _healthy(self) -> bool:
        try:
            async with self._session.get(f"{self._url}/api/health") as response:
                return response.ok
        except aiohttp.ClientError:
            return False

    async def ask(self, method: str, path: str, body: Json | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return what the API answers; :class:`NotVerified` with its words if it refuses."""
        async with self._session.request(method, f"{self._url}/api/{path}", json=body) as response:
            text = await response.text()
        if not response.ok:
            raise NotVerified(f"{method} {path}: {response.status} {text}")
        return json.loads(text)

    async def difference(self, board: Json) -> list[str]:
        """Import a dashboard and return the keys that come back changed."""
        await self.ask(
            "POST", "dashboards/db", {"dashboard": board, "folderUid": FOLDER_UID, "overwrite": True}
        )
        back = (await self.ask("GET", f"dashboards/uid/{board['uid']}"))["dashboard"]
        keys = sorted({*board, *back} - {*KEPT_BY_GRAFANA})
        return [key for key in keys if board.get(key) != back.get(key)]


async def verify(url: str) -> dict[str, list[str]]:
    """Return, for each dashboard, the keys that a Grafana does not keep as they are: none."""
    headers = {"Authorization": aiohttp.encode_basic_auth(USER, PASSWORD)}
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        grafana = Grafana(session, url)
        await grafana.ready()
        folders = await grafana.ask("GET", "folders")
        if FOLDER_UID not in [folder["uid"] for folder in folders]:
            await grafana.ask("POST", "folders", {"uid": FOLDER_UID, "title": FOLDER})
        texts = [path.read_text() for path in sorted((HOME / "generated").glob("*.json"))]
        boards = [json.loads(text) for text in texts]
        return {board["uid"]: await grafana.difference(board) for board in boards}


@asynccontextmanager
async def container() -> AsyncIterator[str]:
    """Run Grafana's image for the length of the block; return its URL."""
    docker = shutil.which("docker") or shutil.which("podman")
    if docker is None:
        raise NotVerified(f"needs docker or podman to run {IMAGE}; or name a Grafana with --url")
    address = f"{HOST}:{free_port()}"
    data = HOME / "provisioning" / "datasources"
    command = [docker, "run", "--detach", "--rm", "--publish", f"{address}:3000"]
    command += ["--volume", f"{data}:/etc/grafana/provisioning/datasources:ro", IMAGE]
    started = await asyncio.to_thread(_run, command)
    try:
        yield f"http://{address}"
    finally:
        await asyncio.to_thread(_run, [docker, "stop", started])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PULL_S, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise NotVerified(f"{Path(command[0]).name} {command[1]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


async def _verify(url: str | None) -> dict[str, list[str]]:
    if url:
        return await verify(url)
    async with container() as own:
        return await verify(own)


@click.command()
@click.option("--url", help="A Grafana that runs already, with its first password. Default: run the image.")
def main(url: str | None) -> None:
    """Import every dashboard into a real Grafana, read it back and compare."""
    try:
        found = asyncio.run(_verify(url))
    except NotVerified as problem:
        raise click.ClickException(str(problem)) from None
    for uid, changed in found.items():
        click.echo(f"{uid}: {'changed: ' + ', '.join(changed) if changed else 'kept as it is'}")
    if any(found.values()):
        raise click.ClickException("Grafana changed what it was given")


if __name__ == "__main__":
    main()
