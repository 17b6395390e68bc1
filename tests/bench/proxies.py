"""The proxies under test, each as a command with places for its ports; started on a core of its own."""

import contextlib
import random
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kit.blocking_process import blocking_process

LISTEN_S_MAX = 15.0
LISTEN_POLL_S = 0.02
STOP_S_MAX = 5.0
LOG_BYTES_SHOWN = 2000
PORTS = range(20_000, 32_000)
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin"
"""Debian keeps nginx where only root's PATH leads."""

NGINX_CONF = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream backend {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A command line; {python}, {upstream}, {port}, {admin} and {directory} (its own) are filled in."""

    name: str
    command: str
    install: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether its program is not installed."""
        program = shlex.split(self.command)[0]
        return program != "{python}" and shutil.which(program, path=SEARCH_PATH) is None


NGINX = Proxy("nginx", "nginx -c {directory}/nginx.conf -e stderr", "apt-get install nginx-light")
SIDECAR = Proxy(
    "sidecar",
    "{python} -m sidecar serve --upstream http://127.0.0.1:{upstream} --listen 127.0.0.1:{port}"
    " --admin-listen 127.0.0.1:{admin}",
)


class ProxyFailed(RuntimeError):
    """A proxy did not come up."""


@contextlib.contextmanager
def running(command: Sequence[str], core: int, output: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a command pinned to a core; its output goes to a file. Stopped at the end, killed if need be."""
    with output.open("w") as sink:
        pinned = ["taskset", "-c", str(core), *command]
        streams = {"stdin": subprocess.DEVNULL, "stdout": sink, "stderr": sink}
        with blocking_process(pinned, stop_s=STOP_S_MAX, may_be_late=True, **streams) as process:
            yield process


@contextlib.contextmanager
def serving(proxy: Proxy, upstream: int, core: int, directory: Path) -> Iterator[tuple[int, int]]:
    """Run a proxy in front of a port; give its process id and its own port once it accepts.

    Whatever goes wrong meanwhile carries a note of what the proxy said.
    """
    port, admin = free_port(), free_port()
    command = _command(
        proxy, python=sys.executable, upstream=upstream, port=port, admin=admin, directory=directory
    )
    output = directory / "output"
    with running(command, core, output) as process:
        try:
            wait_until_listening(port, process)
            yield process.pid, port
        except Exception as error:
            error.add_note(f"{proxy.name} said: {output.read_text()[-LOG_BYTES_SHOWN:]}")
            raise


def _command(proxy: Proxy, directory: Path, **places: str | int) -> list[str]:
    (directory / "nginx.conf").write_text(NGINX_CONF.format(directory=directory, **places))
    words = [word.format(directory=directory, **places) for word in shlex.split(proxy.command)]
    return [shutil.which(words[0], path=SEARCH_PATH) or words[0], *words[1:]]


def wait_until_listening(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until a process accepts on a port. ProxyFailed if it ends or takes too long."""
    deadline = time.monotonic() + LISTEN_S_MAX
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(LISTEN_POLL_S)
    raise ProxyFailed(f"the proxy does not listen on port {port}; exit status: {process.poll()}")


def free_port() -> int:
    """Return a port of loopback that was free a moment ago, from below those that the kernel hands out."""
    for port in random.sample(PORTS, len(PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise ProxyFailed(f"no free port in {PORTS}")
