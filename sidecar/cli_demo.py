"""``sse-sidecar demo``: a backend that misbehaves on request, and the sidecar in front of it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException

import click

from sidecar.config import RouteSettings, Settings

HOST = "127.0.0.1"
PORT = click.IntRange(1, 65_535)
START_S = 20.0
"""How long the backend may take until it answers."""

POLL_S = 0.05
STOP_S = 5.0
DRAIN_S = 2.0
"""Ctrl-C in a demo is meant: nobody waits for a stream that was started for show."""

TRANSCRIPT = """
The demo runs until Ctrl-C.

  chat page  {public}/
  admin      {admin}/
  backend    {backend}/   (what the sidecar stands in front of)

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


@click.command()
@click.option("--port", type=PORT, help="Where clients connect.  [default: 8080, or a free one]")
@click.option("--admin-port", type=PORT, help="Metrics and health.  [default: 9464, or a free one]")
@click.option("--backend-port", type=PORT, help="The backend itself.  [default: 8000, or a free one]")
def demo(port: int | None, admin_port: int | None, backend_port: int | None) -> None:
    """Run a demo backend and the sidecar in front of it, on loopback."""
    from sidecar.app import run  # noqa: PLC0415 - the whole server, which the other commands do without

    asked = {
        "--port": (port, 8080),
        "--admin-port": (admin_port, 9464),
        "--backend-port": (backend_port, 8000),
    }
    public, admin, backend = _choose_ports(asked)
    _end_like_ctrl_c()
    try:
        with _backend(backend):
            click.echo(_transcript(public, admin, backend))
            code = run(_settings(public, admin, backend))
    except KeyboardInterrupt:
        code = 0
    except OSError as error:
        raise click.ClickException(f"cannot start: {error.strerror or error}") from None
    sys.exit(code)


def _settings(public: int, admin: int, backend: int) -> Settings:
    chat = RouteSettings(name="chat", path="/api/chat", complete_on="done")
    feed = RouteSettings(
        name="notifications", path="/notifications", methods=("GET",), kind="live", upstream_resume=True
    )
    return Settings(
        upstream=_url(backend),
        listen=f"{HOST}:{public}",
        admin_listen=f"{HOST}:{admin}",
        log_format="console",
        drain_s=DRAIN_S,
        routes=(chat, feed),
    )


def _transcript(public: int, admin: int, backend: int) -> str:
    return TRANSCRIPT.format(public=_url(public), admin=_url(admin), backend=_url(backend))


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _choose_ports(asked: dict[str, tuple[int | None, int]]) -> list[int]:
    """Return a free port for each: the one asked for, else the usual one, else any."""
    with ExitStack() as held:  # all at once, so that no two get the same
        return [_choose(held, flag, *ports) for flag, ports in asked.items()]


def _choose(held: ExitStack, flag: str, wanted: int | None, usual: int) -> int:
    for port in (wanted,) if wanted else (usual, 0):
        try:
            probe = held.enter_context(socket.create_server((HOST, port)))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            continue
        return int(probe.getsockname()[1])
    raise click.ClickException(f"{flag} {wanted or usual}: {reason}")


def _end_like_ctrl_c() -> None:
    """Leave through the clean-up on SIGTERM too, and when the terminal is closed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


@contextmanager
def _backend(port: int) -> Iterator[None]:
    """Run the backend below its supervisor, which restarts it after its kill switch; stop both at the end.

    It gets a session of its own: Ctrl-C is for this process, which lets the streams end first.
    """
    command = [sys.executable, "-m", "sidecar.demo.supervisor", "--host", HOST, "--port", str(port)]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own
    try:
        _wait_until_it_answers(child, port)
        yield
    finally:
        _stop(child)


def _wait_until_it_answers(child: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + START_S
    while not _answers(port):
        if child.poll() is not None:
            raise click.ClickException(f"the demo backend ended with exit code {child.returncode}")
        if time.monotonic() > until:
            raise click.ClickException(f"the demo backend does not answer within {START_S:g} s")
        time.sleep(POLL_S)


def _answers(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/healthz")
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
