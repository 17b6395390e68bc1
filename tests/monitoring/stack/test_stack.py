"""``make stack``: everything comes up, a fault's alert reaches the sink, and nothing is left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from alerts.rules import alert_names
from compose import reference
from compose.faults import FAULTS
from compose.stack import StackPorts, sidecar_settings, stack
from sidecar.config.settings import Settings
from sidecar.demo.faults import DemoFault
from tests.kit.blocking_process import blocking_process, read_until
from tests.kit.deadline import within
from tests.kit.prometheus import needs_prometheus

START_S = 60.0
EXIT_S = 30.0
ALERT_S = 90.0
FAST = 60.0
URLS = {"admin page": "/", "chat": "/", "Prometheus": "/-/ready", "Alertmanager": "/-/ready"}


class RunningStack:
    """A stack that was started from the command line, and what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.printed = ""

    def read_through(self, words: str, within_s: float) -> str:
        """Read up to a line with these words; a stack that does not print them in time is ended."""
        read = read_until(self.process, self.process.stdout, words, within_s)
        self.printed += read
        return read.splitlines(keepends=True)[-1]

    @property
    def ports(self) -> dict[str, int]:
        found = {name: re.search(rf"  {name} +http://127\.0\.0\.1:(\d+)/", self.printed) for name in URLS}
        return {name: int(match[1]) for name, match in found.items() if match}

    @property
    def directory(self) -> Path:
        found = re.search(r"  logs +(/\S+)", self.printed)
        assert found
        return Path(found[1])

    @property
    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        assert self.process.stdout is not None
        self.printed += self.process.stdout.read()
        return self.process.wait(EXIT_S)


@contextmanager
def from_the_command_line(*arguments: str, **environment: str) -> Iterator[RunningStack]:
    command = [sys.executable, "-m", "compose", *arguments]
    environment = os.environ | environment
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with blocking_process(command, stop_s=EXIT_S, env=environment, **streams) as process:
        yield RunningStack(process)


def status(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Accept": "text/html"})
        return connection.getresponse().status
    finally:
        connection.close()


def check_nothing_is_left(running: RunningStack, children: list[psutil.Process]) -> None:
    assert psutil.wait_procs(children, 5)[1] == []
    assert not running.directory.exists()
    for port in running.ports.values():
        with pytest.raises(ConnectionRefusedError):
            status(port, "/")


@pytest.mark.prometheus
@pytest.mark.slow
@needs_prometheus
def test_one_command_shows_an_alert_come_and_ctrl_c_leaves_nothing_behind() -> None:
    with from_the_command_line("--fault", "wrong_type", "--users", "6") as running:
        running.read_through("and then read https://", START_S)
        children = running.children
        assert len(children) == 4
        assert {name: status(port, URLS[name]) for name, port in running.ports.items()} == dict.fromkeys(
            URLS, 200
        )
        assert "The rules run 30 times as fast" in running.printed
        told = running.read_through("FIRING", ALERT_S)
        assert "SSESilentFailure (" in told
        assert "runbooks/SSESilentFailure.md" in running.read_through("https://", EXIT_S)
        assert running.end(signal.SIGINT) == 0
        assert running.printed.endswith("\nEverything has stopped.\n")
        check_nothing_is_left(running, children)


@pytest.mark.prometheus
@pytest.mark.slow
@needs_prometheus
def test_a_part_that_dies_ends_the_stack_with_its_last_words() -> None:
    with from_the_command_line("--users", "1") as running:
        running.read_through("as Alertmanager sends them", START_S)
        children = running.children
        (backend,) = (each for each in children if "sidecar.demo.webapi" in each.cmdline())
        backend.kill()
        assert running.process.wait(EXIT_S) == 1
        running.read_through("backend ended with exit code -9", EXIT_S)
        check_nothing_is_left(running, children)


@pytest.mark.prometheus
@needs_prometheus
def test_ctrl_c_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    with from_the_command_line(TMPDIR=str(tmp_path)) as running:
        end = time.monotonic() + START_S
        while not (children := running.children):  # the first of them waits to be ready
            assert time.monotonic() < end
        assert running.end(signal.SIGINT) == 0
        assert psutil.wait_procs(children, 5)[1] == []
        assert [*tmp_path.iterdir()] == []


def test_without_prometheus_the_line_that_installs_it_is_named(tmp_path: Path) -> None:
    with from_the_command_line(PATH=str(tmp_path)) as running:
        running.read_through("is not installed", START_S)
        assert running.process.wait(EXIT_S) == 1
    assert running.printed.endswith(
        "Error: prometheus-alertmanager is not installed: "
        "apt-get install --no-install-recommends prometheus prometheus-alertmanager\n"
    )


@pytest.mark.prometheus
@pytest.mark.slow
@pytest.mark.timeout(120)
@needs_prometheus
async def test_faults_can_be_switched_on_and_off_while_users_go_on() -> None:
    async with stack(FAST, users=6) as s:
        assert [*s.sink.notifications] == []
        assert not [alert for alert in await s.prometheus.alerts() if alert.state == "firing"]
        for name in ("spoilt", "sidecar_down"):
            fault = await s.inject(name)
            async with within(ALERT_S, partial("{} never came".format, fault.alert)):
                told = await s.sink.wait(fault.alert)
            assert told.labels["severity"] == "critical"
        await s.clear()
        async with within(ALERT_S, lambda: "SSESidecarDown stayed"):
            await s.sink.wait("SSESidecarDown", "resolved")
        assert s.fault is None
        assert s.sidecar.running


def test_the_table_of_faults_names_an_alert_for_each_and_a_fault_for_each_alert() -> None:
    with from_the_command_line("--fault", "help") as running:
        running.read_through("Runbooks:", START_S)
        assert running.process.wait(EXIT_S) == 0
    assert {fault.alert for fault in FAULTS.values()} == set(alert_names())
    for fault in FAULTS.values():
        row = rf"^  {fault.name} +{fault.alert} +{re.escape(fault.what)}$"
        assert re.search(row, running.printed, re.MULTILINE)


def test_a_fault_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with from_the_command_line("--fault", "fire") as running:
        running.read_through("'fire' is none of reset, truncate, error, ", START_S)
        assert running.process.wait(EXIT_S) == 2


def test_what_users_ask_a_faulty_backend_for_is_what_the_demo_knows() -> None:
    asked = {fault.query["fault"] for fault in FAULTS.values() if fault.query}
    assert asked <= set(DemoFault)


def test_the_sidecar_of_the_stack_has_settings_that_pass_its_own_check() -> None:
    written = yaml.safe_dump(sidecar_settings(StackPorts.free()))
    assert [route.name for route in Settings(**yaml.safe_load(written)).routes] == [
        "chat",
        "openai",
        "claude",
        "notifications",
    ]


def test_the_configuration_to_copy_and_the_table_of_faults_are_fresh() -> None:
    command = [sys.executable, "-m", "compose.reference", "--check"]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "| `reset` | " in reference.README.read_text()


@pytest.mark.prometheus
@needs_prometheus
def test_prometheus_accepts_the_configuration_to_copy() -> None:
    command = ["promtool", "check", "config", str(reference.CONFIG)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
