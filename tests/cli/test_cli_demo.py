"""``sse-sidecar demo`` runs in one command, survives its own kill switch, and leaves nothing behind."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import psutil
import pytest

from tests.kit.blocking_process import blocking_process, read_until

pytestmark = pytest.mark.xdist_group("demo")  # demos try the same usual ports: one process runs them in turn

ANSWER_S = 30.0
EXIT_S = 20.0
PIPES: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


class Demo:
    """A running demo and the addresses that it printed."""

    def __init__(self, process: subprocess.Popen[str], printed: str) -> None:
        self.process = process
        self.printed = printed
        self.children = psutil.Process(process.pid).children(recursive=True)
        names = {"public": "chat page", "admin": "admin", "backend": "backend", "network": "network"}
        found = {
            key: re.search(rf"{name} +http://127\.0\.0\.1:(\d+)/", printed) for key, name in names.items()
        }
        self.ports = {key: int(match[1]) for key, match in found.items() if match}

    def get(self, at: str, target: str, method: str = "GET") -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.ports[at], timeout=ANSWER_S)
        try:
            connection.request(method, target, headers={"Accept": "text/event-stream"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def running(self, module: str) -> list[psutil.Process]:
        return [child for child in self.children if module in child.cmdline()]

    def wait_until_refused(self, at: str) -> None:
        deadline = time.monotonic() + EXIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionResetError):  # it was accepted, and then the process ended
                try:
                    socket.create_connection(("127.0.0.1", self.ports[at])).close()
                except ConnectionRefusedError:
                    return
        raise AssertionError(f"{at} still accepts connections")

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(EXIT_S)


@contextmanager
def _demo(*arguments: str) -> Iterator[Demo]:
    command = [sys.executable, "-m", "sidecar", "demo", *arguments]
    with blocking_process(command, stop_s=EXIT_S, **PIPES) as process:
        printed = read_until(process, process.stdout, "  curl -s ", ANSWER_S)
        read_until(process, process.stderr, "started", ANSWER_S)
        yield Demo(process, printed)


@pytest.mark.slow
def test_one_command_serves_streams_that_can_be_resumed() -> None:
    with _demo() as demo:
        status, body = demo.get("public", "/api/chat?n=3&interval_ms=0")
        ids = re.findall(rb"^id: (\S+)$", body, re.MULTILINE)
        assert (status, len(ids)) == (200, 4)
        assert demo.get("admin", "/livez") == (200, b'{"live":true}')
        assert len(json.loads(demo.get("admin", "/streams?route=chat")[1])) == 1
        assert "Last-Event-ID" in demo.printed
        assert demo.end(signal.SIGINT) == 0
        assert psutil.wait_procs(demo.children, EXIT_S)[1] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_however_it_is_ended_the_backend_ends_with_it(number: int) -> None:
    with _demo() as demo:
        assert len(demo.children) == 3
        assert demo.end(number) == 0
        assert psutil.wait_procs(demo.children, EXIT_S)[1] == []


@pytest.mark.slow
def test_a_backend_that_is_killed_comes_back_and_a_tail_waits_for_it() -> None:
    with _demo() as demo:
        (supervisor,) = demo.running("sidecar.demo.supervisor")
        assert demo.get("public", "/demo/kill", "POST")[0] == 202
        supervisor.suspend()  # so that the tail finds no backend, however slowly it starts
        demo.wait_until_refused("backend")
        url = f"http://127.0.0.1:{demo.ports['public']}/api/chat?n=2&interval_ms=0"
        command = [sys.executable, "-m", "sidecar", "tail", url]
        with blocking_process(command, **PIPES) as tail:
            read_until(tail, tail.stderr, "err-sidecar-upstream-refused); reconnecting in ", ANSWER_S)
            supervisor.resume()
            printed, _ = tail.communicate(timeout=ANSWER_S)
    assert (tail.returncode, len(printed.splitlines())) == (0, 3)


@pytest.mark.slow
def test_its_network_can_be_cut_and_mended_while_nothing_passes() -> None:
    with _demo() as demo:
        told = json.loads(demo.get("public", "/demo/setup")[1])
        assert told["network"] == f"http://127.0.0.1:{demo.ports['network']}"
        assert json.loads(demo.get("network", "/cut?for_s=60", "POST")[1])["state"] == "cut"
        with pytest.raises(OSError, match="refused"):
            demo.get("public", "/healthz")
        assert demo.get("network", "/works", "POST")[0] == 200
        assert demo.get("public", "/healthz") == (200, b'{"status":"ok"}')


@pytest.mark.slow
def test_usual_ports_that_are_taken_are_gone_round() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        except OSError:
            pass  # somebody else has it: as good
        with _demo() as demo:
            assert demo.ports["public"] != 8080
            assert demo.get("public", "/healthz") == (200, b'{"status":"ok"}')


def test_a_port_that_was_asked_for_and_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "sidecar", "demo", "--port", port],
            capture_output=True,
            text=True,
            timeout=EXIT_S,
            check=False,
        )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"Error: --port {port}: Address already in use\n"
