"""``python -m tests.docs.conformance``: what other servers of event streams make of the six scenarios.

Starts each that is installed in front of the plain demo backend (the last one in front of a sidecar), lets
``sse-sidecar verify --compare`` judge them, and writes the table of docs/conformance.md.
"""

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import click

from tests.bench.proxies import wait_until_listening
from tests.docs.conformance.peers import BACKEND, PEERS, SIDECAR, Peer
from tests.docs.conformance.table import write_table
from tests.kit.blocking_process import blocking_process

DOCS = Path(__file__).parents[3] / "docs"
STOP_S = 10.0
ROUTES = "routes:\n  - name: chat\n    path: /api/chat\n    complete_on: done\n    heartbeat_s: 1\n"


@contextlib.contextmanager
def running(command: Sequence[str], port: int | None, log: Path) -> Iterator[None]:
    """Run a command for the length of a block; ProxyFailed if it does not listen on its port."""
    with log.open("w") as sink:
        streams = {"stdin": subprocess.DEVNULL, "stdout": sink, "stderr": sink}
        with blocking_process(command, stop_s=STOP_S, may_be_late=True, **streams) as process:
            if port:
                wait_until_listening(port, process)
            yield


def _own(folder: Path) -> list[tuple[list[str], int]]:
    """Return the commands of the backend and of the sidecar."""
    config = folder / "sidecar.yaml"
    config.write_text(ROUTES)
    backend = [sys.executable, "-m", "sidecar.demo.webapi", "--port", str(BACKEND)]
    sidecar = [sys.executable, "-m", "sidecar", "serve", "--config", str(config)]
    places = ["--upstream", f"http://127.0.0.1:{BACKEND}", "--listen", f"127.0.0.1:{SIDECAR}"]
    return [(backend, BACKEND), ([*sidecar, *places, "--admin-listen", "127.0.0.1:18464"], SIDECAR)]


def _judge(urls: Sequence[str], folder: Path, arguments: Sequence[str]) -> Path:
    """Let verify judge the URLs, and return the file with its results."""
    command = [sys.executable, "-m", "sidecar", "verify", "--compare", ",".join(["direct", *urls, "sidecar"])]
    command += ["--stall-s", "3", "--output", str(folder), *arguments]
    started = time.monotonic()
    code = subprocess.run(command, check=False, env=os.environ).returncode
    if code > 1:
        raise click.ClickException(f"verify could not run: exit code {code}")
    click.echo(f"judged in {time.monotonic() - started:.0f} s")
    return folder / "sse_test_results.json"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(arguments: tuple[str, ...]) -> None:
    """Judge every server that is installed; ARGUMENTS go to verify (--quick, --path ...)."""
    there = [peer for peer in PEERS if not peer.is_missing]
    for peer in PEERS:
        if peer.is_missing:
            click.echo(f"{peer.name} is left out: apt-get install {peer.package}")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        for number, (command, port) in enumerate(_own(folder)):
            stack.enter_context(running(command, port, folder / f"own-{number}.log"))
        for peer in there:
            _bring_up(peer, folder, stack)
        urls = [f"http://127.0.0.1:{peer.port}{peer.asked}" for peer in there]
        results = _judge(urls, folder / "verify", arguments)
        said = shlex.join(["python", "-m", "tests.docs.conformance", *arguments])
        write_table(results.read_bytes(), DOCS, [peer.name for peer in there], said)
    click.echo(f"sse-sidecar {version('sse-sidecar')}: wrote {DOCS / 'conformance.md'}")


def _bring_up(peer: Peer, folder: Path, stack: contextlib.ExitStack) -> None:
    own = folder / str(peer.port)
    own.mkdir()
    command, *beside = peer.written(own)
    for each in beside:
        stack.enter_context(running(each, None, own / "output-beside"))
    stack.enter_context(running(command, peer.port, own / "output"))
    click.echo(f"{peer.name} listens")


if __name__ == "__main__":
    main()
