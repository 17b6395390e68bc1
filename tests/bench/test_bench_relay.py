"""Promises of the benchmark: it counts what it says, and has no figures for a proxy that loses events."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.backend import EVENT_BYTES, event
from tests.bench.cost import cpu_s, fields_of, rss_kib
from tests.bench.proxies import Proxy
from tests.bench.readers import BenchCounts, BenchReader
from tests.bench.report import BrokenRound, Round, percentile, report, table
from tests.kit.blocking_process import blocking_process


def test_an_event_has_its_size_its_number_and_its_time() -> None:
    assert event(7, 123) == b'data: {"n":7,"t":123,"pad":"' + b"x" * 78 + b'"}\n\n'
    assert len(event(7, 123)) == len(event(123_456, 10**15)) == EVENT_BYTES


@pytest.mark.parametrize("size", [1, 7, 110, 1000])
async def test_each_event_counts_once_however_it_is_cut(size: int) -> None:
    tally = BenchCounts(measuring=True)
    reader = BenchReader(tally, "/")
    wire = b"".join(b"6e\r\n%b\r\n" % event(number, 0) for number in (1, 2, 3))
    for start in range(0, len(wire), size):
        reader.data_received(wire[start : start + size])
    assert (tally.events, tally.lost, len(tally.latencies_ns)) == (3, 0, 3)


@pytest.mark.parametrize("numbers", [(1, 3), (1, 2, 2), (2,), (1, 3, 2)])
async def test_a_lost_repeated_or_reordered_event_breaks_the_round(numbers: tuple[int, ...]) -> None:
    tally = BenchCounts(measuring=True)
    reader = BenchReader(tally, "/")
    for number in numbers:
        reader.data_received(event(number, 0))
    with pytest.raises(BrokenRound, match="holes in the events"):
        Round("p").note_relay(tally, 1.0, 1.0)


async def test_a_stream_that_the_proxy_closes_breaks_the_round() -> None:
    tally = BenchCounts()
    reader = BenchReader(tally, "/")
    reader.data_received(event(1, 0))
    reader.connection_lost(None)
    with pytest.raises(BrokenRound, match="1 streams closed"):
        Round("p").note_idle(tally, 1.0)


def test_a_round_without_events_has_no_figure() -> None:
    with pytest.raises(BrokenRound, match="not one event"):
        Round("p").note_relay(BenchCounts(), 1.0, 1.0)


def test_stat_fields_follow_a_name_with_parentheses_and_spaces() -> None:
    assert fields_of("7 (a) b) S 1 2\n") == ["S", "1", "2"]


END_S = 20.0
BURN = """
import os, sys
while sum(os.times()[:2]) < 0.3:
    pass
print("burnt", flush=True)
sys.stdin.read()
"""


def test_the_cost_of_a_process_includes_its_children() -> None:
    shell = ["sh", "-c", '"$0" -c "$1"; true', sys.executable, BURN]
    with blocking_process(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "burnt\n"
        assert cpu_s(parent.pid) >= 0.29
        assert rss_kib(parent.pid) > 4_000
        parent.communicate("", timeout=END_S)


def test_the_percentile_is_the_nearest_rank() -> None:
    ordered = list(range(1, 101))
    assert [percentile(ordered, share) for share in (0.0, 0.5, 0.99)] == [1, 51, 100]
    assert percentile([5], 0.99) == 5


def test_ratios_are_taken_within_a_round_and_then_the_median() -> None:
    rounds = [
        *[Round("nginx", 2500, 10.0, 1.0, 2.0, 10.0), Round("sidecar", 2500, 20.0, 1.5, 3.0, 20.0)],
        *[Round("nginx", 2500, 30.0, 1.0, 9.0, 12.0), Round("sidecar", 2500, 30.0, 1.1, 9.5, 24.0)],
        *[Round("nginx", 2500, 20.0, 1.0, 2.0, 14.0), Round("sidecar", 2500, 30.0, 1.2, 2.5, 22.0)],
    ]
    result = report(rounds, skipped=[])
    assert result["against_nginx"]["sidecar"]["cpu_ratio"] == 1.5
    assert result["against_nginx"]["sidecar"]["added_p99_ms"] == 0.5
    assert result["median"]["sidecar"]["us_per_event"] == 30.0
    nginx, sidecar = table(result).splitlines()[1:]
    assert nginx.split() == ["nginx", "2500", "20.0", "1.00", "2.00", "12.0", *"---"]
    assert sidecar.split() == ["sidecar", "2500", "30.0", "1.20", "3.00", "22.0", "1.50", "+0.20", "+0.50"]
    assert len(nginx) == len(sidecar)


def test_a_round_too_short_for_the_clock_has_no_ratio() -> None:
    result = report([Round("nginx", 40, 0.0, 1.0, 2.0), Round("sidecar", 40, 20.0, 1.5, 3.0)])
    assert result["against_nginx"]["sidecar"] == {
        "cpu_ratio": None,
        "added_p50_ms": 0.5,
        "added_p99_ms": 1.0,
    }


def test_without_the_peer_there_are_figures_and_no_ratios() -> None:
    result = report([Round("sidecar", 2500, 20.0, 1.0, 2.0)])
    assert result["against_nginx"] == {}
    assert table(result).splitlines()[1].split() == ["sidecar", "2500", "20.0", "1.00", "2.00", *"----"]


def test_a_missing_program_is_known_before_the_run() -> None:
    assert Proxy("x", "no-such-proxy -c {port}").is_missing
    assert not Proxy("x", "{python} -m x").is_missing
    assert not Proxy("x", "sh -c true").is_missing


LOAD = ("--streams=2", "--rate=20", "--seconds=0.5", "--rounds=1", "--idle=5", "--settle=0.1")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *LOAD, *arguments],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=50,
        check=False,
    )


needs_two_cores = pytest.mark.needs("cores")


@pytest.mark.nginx
@needs_two_cores
@pytest.mark.needs("nginx")
def test_a_run_writes_its_results_and_names_missing_proxies(tmp_path: Path) -> None:
    run = bench("--only", "nginx", "--proxy", "ghost=no-such-proxy", "--json", str(tmp_path / "a" / "b.json"))
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("skipped: ghost is not installed")
    result = json.loads((tmp_path / "a" / "b.json").read_text())
    assert result["skipped"] == ["ghost"]
    assert result["median"]["nginx"]["events_per_s"] > 0
    assert result["median"]["nginx"]["p50_ms"] > 0


@needs_two_cores
def test_a_proxy_that_does_not_start_fails_with_its_output(tmp_path: Path) -> None:
    run = bench("--only", "bad", "--proxy", "bad={python} -c 'raise SystemExit(\"no luck\")'")
    assert run.returncode == 1
    assert "does not listen on port" in run.stderr
    assert run.stderr.endswith("exit status: 1\nbad said: no luck\n\n")
