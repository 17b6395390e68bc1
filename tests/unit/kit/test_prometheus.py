"""The Prometheus and the Alertmanager that other tests stand on."""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from aiohttp import web

from sidecar.verify.program import NotReady, ProgramMissing, find, free_port, program, tethered
from sidecar.verify.prometheus import INSTALL
from tests.kit.deadline import Overdue, within
from tests.kit.prometheus import Prometheus, alertmanager, needs_prometheus, prometheus
from tests.kit.user_process import user_process

RULES = """
groups:
  - name: promise
    rules:
      - {record: trains:sum, expr: sum(trains_total)}
      - alert: TrainLost
        expr: trains_total > 2
        labels: {severity: critical}
        annotations: {summary: 'Lost on {{ $labels.route }}.', runbook_url: https://example.com/TrainLost.md}
"""


class Exporter:
    """A target whose one metric a test sets."""

    def __init__(self) -> None:
        self.value = 0
        self.accepted = ""

    async def metrics(self, request: web.Request) -> web.Response:
        self.accepted = request.headers["Accept"]
        exemplar = ' # {stream_id="s1"} 1.0' if self.value else ""
        text = f'# TYPE trains counter\ntrains_total{{route="chat"}} {self.value}{exemplar}\n# EOF\n'
        kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        return web.Response(body=text.encode(), headers={"Content-Type": kind})


@asynccontextmanager
async def exporter() -> AsyncIterator[tuple[Exporter, str]]:
    serving, port = Exporter(), free_port()
    app = web.Application()
    app.add_routes([web.get("/metrics", serving.metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield serving, f"127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def eventually(true: Callable[[], object]) -> None:
    while not true():  # noqa: ASYNC110 - a file and a process send no events
        await asyncio.sleep(0.01)


@pytest.mark.prometheus
@pytest.mark.slow
@needs_prometheus
async def test_an_alert_of_a_target_reaches_the_sink(
    tmp_path: Path,
) -> None:
    async with (
        exporter() as (target, address),
        alertmanager(tmp_path) as am,
        prometheus(tmp_path, [address], RULES, alertmanager=am) as prom,
    ):
        await prom.until_scraped()
        await prom.until_evaluated()
        assert await prom.alerts() == []
        target.value = 3
        await prom.until_firing("TrainLost")
        told = await am.until("TrainLost", route="chat")
        assert told.labels["severity"] == "critical"
        assert "FIRING    TrainLost (" in told.line()
        assert "route=chat, severity=critical): Lost on chat." in told.line()
        assert told.line().endswith("https://example.com/TrainLost.md")
        await _check_questions(prom)
        target.value = 0
        resolved = await am.until("TrainLost", "resolved", within_s=20)
        assert "RESOLVED  TrainLost" in resolved.line()
        await prom.until_none("ALERTS")


async def _check_questions(prom: Prometheus) -> None:
    assert await prom.value("trains:sum") == 3
    assert await prom.value("1 + 1") == 2
    assert await prom.api.label_values("route", "trains_total") == ["chat"]
    assert [(t.job, t.health) for t in await prom.api.targets()] == [("sse-sidecar", "up")]
    now = await prom.value("time()")
    (series,) = await prom.api.query_range("trains_total", now - 5, now, 1)
    assert series.points[-1][1] == 3
    exemplars = await prom.api.exemplars("trains_total", now - 60, now + 60)
    assert exemplars[0]["labels"] == {"stream_id": "s1"}
    with pytest.raises(Overdue, match=r"no answer: trains_total > 5 .waited 0\.3 s"):
        await prom.until("trains_total > 5", 0.3)


@pytest.mark.prometheus
@needs_prometheus
async def test_a_block_that_ends_leaves_neither_process_nor_port(tmp_path: Path) -> None:
    async with alertmanager(tmp_path) as am, prometheus(tmp_path, []) as prom:
        addresses = [("127.0.0.1", int(url.rpartition(":")[2])) for url in (am.url, prom.url, am.running.url)]
        children = psutil.Process().children(recursive=True)
        assert {child.name() for child in children} == {"prometheus", "prometheus-alertmanager"}
    assert not any(child.is_running() for child in children)
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


@pytest.mark.prometheus
@needs_prometheus
async def test_refused_rules_end_the_start_with_prometheus_s_message(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="could not parse expression"):
        async with prometheus(tmp_path, [], RULES.replace("sum(trains_total)", "sum(")):
            pass


def test_a_missing_program_is_named_with_its_install_command() -> None:
    with pytest.raises(ProgramMissing) as caught:
        find(("prometheus-of-tomorrow",), INSTALL)
    assert str(caught.value) == (
        "prometheus-of-tomorrow is not installed: "
        "apt-get install --no-install-recommends prometheus prometheus-alertmanager"
    )


@pytest.mark.slow
async def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True)"
    log = tmp_path / "log"
    async with program([sys.executable, "-c", f"{deaf}; time.sleep(60)"], log) as running:
        async with within(10, lambda: "not started"):
            await eventually(log.read_text)
        process = running.process
        stopping = asyncio.get_running_loop().time()
    assert process is not None
    assert process.returncode == -signal.SIGKILL
    assert asyncio.get_running_loop().time() - stopping < 8


async def test_a_program_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = f"""
import asyncio, pathlib
from sidecar.verify.program import program
async def main():
    async with program(["sleep", "60"], pathlib.Path({str(tmp_path / "log")!r})) as running:
        print(running.process.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    async with user_process(sys.executable, "-c", parent) as process:
        pid = int(await process.line())
    async with within(10, lambda: "the program is still there"):
        await eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_a_program_whose_parent_died_first_does_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    assert subprocess.run(tethered(["touch", str(ran)]), check=False).returncode == 0
    assert ran.exists()
    ran.unlink()
    orphan = tethered(["touch", str(ran)], parent=1)
    assert subprocess.run(orphan, check=False).returncode != 0
    assert not ran.exists()


async def test_a_program_that_ends_at_once_is_reported_with_its_output(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such disk')"]
    with pytest.raises(NotReady, match="ended with exit code 1: no such disk"):
        async with program(command, tmp_path / "log", f"http://127.0.0.1:{free_port()}/"):
            pass


async def test_only_a_program_that_was_not_stopped_is_reported(
    tmp_path: Path,
) -> None:
    deaths: list[str] = []
    async with program(["sleep", "60"], tmp_path / "kept.log", died=deaths.append) as kept:
        first = kept.process
        await kept.kill()
        await kept.start()
        assert kept.process is not first
    async with (
        program(["sh", "-c", "echo why; exit 4"], tmp_path / "sh.log", died=deaths.append),
        within(10, lambda: "not reported"),
    ):
        await eventually(lambda: deaths)
    assert deaths == ["sh ended with exit code 4: why\n"]


async def test_a_taken_usual_port_is_replaced() -> None:
    usual = free_port()
    assert free_port(usual) == usual
    with socket.create_server(("127.0.0.1", usual)):
        assert free_port(usual) != usual
