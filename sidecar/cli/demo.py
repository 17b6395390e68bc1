"""``sse-sidecar demo``: a backend, the sidecar and a faulty network."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple

import click

from sidecar.config.load import RouteSettings, Settings
from sidecar.demo.chat_page import Setup

HOST = "127.0.0.1"
PORT = click.IntRange(1, 65_535)
PORTS_TRIED_MAX = 50
START_S = 20.0
"""How long the backend and the network may take until they answer."""

POLL_S = 0.05
STOP_S = 5.0
DRAIN_S = 2.0
"""Ctrl-C in a demo is meant: nobody waits for a stream that was started for show."""

HEARTBEAT_S = 2.0
STALL_S = 6.0
"""Quicker than the defaults of 10 and 30 s: nobody wants to wait in front of a demo."""

TRANSCRIPT = """
The demo runs until Ctrl-C.

  chat page  {public}/
  admin      {admin}/
  backend    {backend}/   (what the sidecar stands in front of)
  network    {network}/   (what the page's buttons press: curl -X POST {network}/cut)

Try in another terminal:

  # Every event carries an id ...
  curl -N -H 'Accept: text/event-stream' '{public}/api/chat?prompt=hello'

  # ... so stop curl in the middle, and go on where it stopped:
  curl -N -H 'Accept: text/event-stream' -H 'Last-Event-ID: <the last id>' '{public}/api/chat'

  # A backend that dies in the middle is told, not hidden:
  sse-sidecar tail '{public}/api/chat?fault=reset&at=10'

  # What happened to each stream, and in numbers:
  sse-sidecar streams ls --admin {admin}
  curl -s {admin}/metrics | grep ^sse_streams_finished_total
"""


class DemoPorts(NamedTuple):
    """The ports of the demo.

    ``public`` leads to ``sidecar``, and ``bare`` to ``backend``.
    """

    public: int
    admin: int
    backend: int
    sidecar: int
    switches: int
    bare: int


@click.command()
@click.option("--port", type=PORT, help="Where clients connect.  [default: 8080, or the next free one]")
@click.option("--admin-port", type=PORT, help="Metrics and health.  [default: 9464, or the next free one]")
@click.option("--backend-port", type=PORT, help="The backend itself.  [default: 8000, or the next free one]")
def demo(port: int | None, admin_port: int | None, backend_port: int | None) -> None:
    """Run a demo backend and the sidecar in front of it, on loopback."""
    from sidecar.server.app import run  # noqa: PLC0415 - the whole server, which the other commands do without

    asked = {
        "--port": (port, 8080),
        "--admin-port": (admin_port, 9464),
        "--backend-port": (backend_port, 8000),
        "behind the network": (None, 18_080),
        "the network's switches": (None, 18_180),
        "the backend over the network": (None, 18_280),
    }
    ports = DemoPorts(*_choose_ports(asked))
    _end_like_ctrl_c()
    try:
        with _surroundings(ports):
            click.echo(_transcript(ports))
            code = run(_settings(ports))
    except KeyboardInterrupt:
        code = 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"cannot start: {where}{error.strerror or error}") from None
    sys.exit(code)


def _settings(ports: DemoPorts) -> Settings:
    chat = RouteSettings(name="chat", path="/api/chat", complete_on="done", heartbeat_s=HEARTBEAT_S)
    feed = RouteSettings(
        name="notifications", path="/notifications", methods=("GET",), kind="live", upstream_resume=True
    )
    return Settings(
        upstream=_url(ports.backend),
        listen=f"{HOST}:{ports.sidecar}",
        admin_listen=f"{HOST}:{ports.admin}",
        log_format="console",
        drain_s=DRAIN_S,
        routes=(chat, feed),
    )


def _transcript(ports: DemoPorts) -> str:
    public, admin, backend, network = map(_url, (ports.public, ports.admin, ports.backend, ports.switches))
    return TRANSCRIPT.format(public=public, admin=admin, backend=backend, network=network)


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _choose_ports(asked: dict[str, tuple[int | None, int]]) -> list[int]:
    """Return a port for each: the requested one, or the next free one."""
    with ExitStack() as held:  # all at once, so that no two get the same
        return [_choose(held, flag, *ports) for flag, ports in asked.items()]


def _choose(held: ExitStack, flag: str, wanted: int | None, usual: int) -> int:
    # No port of the kernel's choice: another program could be given it before the demo listens there.
    for port in (wanted,) if wanted else range(usual, usual + PORTS_TRIED_MAX):
        try:
            probe = held.enter_context(socket.create_server((HOST, port)))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            continue
        return int(probe.getsockname()[1])
    raise click.ClickException(f"{flag} {wanted or usual}: {reason}")


def _end_like_ctrl_c() -> None:
    """Clean up on SIGTERM and SIGHUP too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


@contextmanager
def _surroundings(ports: DemoPorts) -> Iterator[None]:
    """Run the network, and the backend under its supervisor."""
    origins = (_url(ports.public), f"http://localhost:{ports.public}")
    setup = Setup(_url(ports.switches), _url(ports.bare), origins, STALL_S)
    backend = ["supervisor", "--host", HOST, "--port", str(ports.backend), "--setup", setup.as_json()]
    network = ["network", "--control", str(ports.switches)]
    for at, to in ((ports.public, ports.sidecar), (ports.bare, ports.backend)):
        network += ["--carry", str(at), str(to)]
    with _child(backend) as started, _child(network) as connected:
        _wait_until_it_answers("backend", started, ports.backend, "/healthz")
        _wait_until_it_answers("network", connected, ports.switches, "/")
        yield


@contextmanager
def _child(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module of the demo, and stop it at the end.

    It gets a session of its own: Ctrl-C is for this process, which lets the streams end first.
    """
    whole = [sys.executable, "-m", f"sidecar.demo.{command[0]}", *command[1:]]
    child = subprocess.Popen(whole, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own
    try:
        yield child
    finally:
        _stop(child)


def _wait_until_it_answers(name: str, child: subprocess.Popen[bytes], port: int, path: str) -> None:
    until = time.monotonic() + START_S
    while not _answers(port, path):
        if child.poll() is not None:
            raise click.ClickException(f"the demo {name} ended with exit code {child.returncode}")
        if time.monotonic() > until:
            raise click.ClickException(f"the demo {name} does not answer within {START_S:g} s")
        time.sleep(POLL_S)


def _answers(port: int, path: str) -> bool:
    connection = HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200  # noqa: PLR2004
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(STOP_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        os.killpg(child.pid, signal.SIGKILL)  # its session is ours alone: supervisor and backend
        child.wait()
