"""CPU per relayed event, added latency and memory per idle stream: the sidecar against nginx, in one run.

python -m tests.bench --help
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from tests.bench.cost import cpu_s, rss_kib
from tests.bench.proxies import NGINX, SIDECAR, Proxy, serving
from tests.bench.readers import BenchCounts, open_streams
from tests.bench.report import Round, report, table
from tests.kit.blocking_process import blocking_process

PROXY_CORE, LOAD_CORE = 0, 1
FILES_MIN = 8_192
PROXY_HELP = "one more proxy, or another command for one, with {python} {upstream} {port} {admin} {directory}"


@dataclass(frozen=True)
class BenchLoad:
    """The load: ``streams`` paced streams for ``seconds``, and ``idle`` streams that are only held open."""

    streams: int = 50
    rate: float = 50.0
    seconds: float = 10.0
    rounds: int = 3
    idle: int = 3_000
    idle_before: int = 100
    settle_s: float = 2.0


def main(arguments: list[str] | None = None) -> int:
    """Measure what the command line asks for; write the JSON and print the table."""
    options = _parser().parse_args(arguments)
    load = BenchLoad(
        *(options.streams, options.rate, options.seconds, options.rounds),
        idle=options.idle,
        settle_s=options.settle,
    )
    proxies, missing = _choose(options.proxy, options.only)
    for proxy in missing:
        _say(f"skipped: {proxy.name} is not installed: {proxy.install}")
    _use_the_machine()
    rounds = list(_rounds(proxies, load))
    result = report(rounds, load=asdict(load), machine=_machine(), skipped=[proxy.name for proxy in missing])
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=2) + "\n")
    _say(f"\n{table(result)}\nwritten to {options.json}")
    return 0


def _parser() -> argparse.ArgumentParser:
    load = BenchLoad()
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure the sidecar against nginx.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--streams", type=int, default=load.streams, help="paced streams")
    parser.add_argument("--rate", type=float, default=load.rate, help="events per second of each")
    parser.add_argument("--seconds", type=float, default=load.seconds, help="length of a round")
    parser.add_argument("--rounds", type=int, default=load.rounds, help="rounds, of which the median counts")
    parser.add_argument("--idle", type=int, default=load.idle, help="idle streams; 0 leaves them out")
    parser.add_argument("--settle", type=float, default=load.settle_s, help="seconds before each measurement")
    parser.add_argument("--json", type=Path, default=Path("build/bench-relay.json"), help="the result")
    parser.add_argument("--only", default="nginx,sidecar", help="the proxies, by their names")
    parser.add_argument("--proxy", action="append", default=[], metavar="NAME=COMMAND", help=PROXY_HELP)
    return parser


def _choose(added: list[str], only: str) -> tuple[list[Proxy], list[Proxy]]:
    """Return the proxies to measure and those that are not installed."""
    definitions = dict(definition.split("=", 1) for definition in added)
    known = {proxy.name: proxy for proxy in (NGINX, SIDECAR)}
    known |= {name: Proxy(name, command) for name, command in definitions.items()}
    names = dict.fromkeys([*only.split(","), *definitions])
    if not names.keys() <= known.keys():
        raise SystemExit(f"--only {only}: known are {', '.join(known)}")
    missing = [known[name] for name in names if known[name].is_missing]
    return [known[name] for name in names if known[name] not in missing], missing


def _use_the_machine() -> None:
    """Keep this process off the proxies' core and let every process open all the files it may."""
    if not {PROXY_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise SystemExit(
            f"the bench needs cores {PROXY_CORE} and {LOAD_CORE}: one for the proxy, one for the load"
        )
    os.sched_setaffinity(0, {LOAD_CORE})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < FILES_MIN:
        raise SystemExit(f"the bench needs {FILES_MIN} open files, and may open {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _rounds(proxies: list[Proxy], load: BenchLoad) -> Iterator[Round]:
    """Measure the proxies in turn, so that a drift of the machine meets them all."""
    for number in range(1, load.rounds + 1):
        for proxy in proxies:
            measured = _measure(proxy, load)
            _say(f"round {number}/{load.rounds}  {proxy.name}: {measured.summary}")
            yield measured


def _measure(proxy: Proxy, load: BenchLoad) -> Round:
    """Measure one proxy once, both times freshly started."""
    measured = Round(proxy.name)
    with _in_front_of_the_backend(proxy) as (pid, port):
        uvloop.run(_relay(pid, port, load, measured))
    if load.idle:
        with _in_front_of_the_backend(proxy) as (pid, port):
            uvloop.run(_idle(pid, port, load, measured))
    return measured


@contextlib.contextmanager
def _in_front_of_the_backend(proxy: Proxy) -> Iterator[tuple[int, int]]:
    with (
        tempfile.TemporaryDirectory(prefix="sse-bench-") as directory,
        _backend() as upstream,
        serving(proxy, upstream, PROXY_CORE, Path(directory)) as served,
    ):
        yield served


@contextlib.contextmanager
def _backend() -> Iterator[int]:
    command = [sys.executable, "-m", "tests.bench.backend"]
    with blocking_process(command, stdout=subprocess.PIPE) as process:
        yield int(process.stdout.readline() if process.stdout else "")


async def _relay(pid: int, port: int, load: BenchLoad, measured: Round) -> None:
    tally = BenchCounts()
    readers = await open_streams(port, f"/paced?rate={load.rate:g}", load.streams, tally)
    await asyncio.sleep(load.settle_s)
    start, cpu_before, tally.measuring = time.monotonic(), cpu_s(pid), True
    await asyncio.sleep(load.seconds)
    end, cpu_after, tally.measuring = time.monotonic(), cpu_s(pid), False
    await asyncio.gather(*(reader.leave() for reader in readers))
    measured.note_relay(tally, cpu_after - cpu_before, end - start)


async def _idle(pid: int, port: int, load: BenchLoad, measured: Round) -> None:
    """Compare a few idle streams with many, so that what a process needs once does not count."""
    tally = BenchCounts()
    readers = await open_streams(port, "/idle", load.idle_before, tally)
    await asyncio.sleep(load.settle_s)
    before_kib = rss_kib(pid)
    readers += await open_streams(port, "/idle", load.idle, tally)
    await asyncio.sleep(load.settle_s)
    measured.note_idle(tally, (rss_kib(pid) - before_kib) / load.idle)
    await asyncio.gather(*(reader.leave() for reader in readers))


def _machine() -> dict[str, str | int | None]:
    return {"python": platform.python_version(), "kernel": platform.release(), "cores": os.cpu_count()}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
