"""Run a load: backend, sidecar, users and Prometheus, as processes."""

import asyncio
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from sidecar.verify.load import audit
from sidecar.verify.load.account import Account
from sidecar.verify.load.books import Books, after_last_scrape, of_itself, scraping
from sidecar.verify.load.crowd import LoadShare
from sidecar.verify.load.machine import Machine
from sidecar.verify.load.workload import Workload
from sidecar.verify.own import Server, own
from sidecar.verify.program import ProgramMissing, last_words, program
from sidecar.verify.prometheus import prometheus
from sidecar.verify.prometheus_api import PrometheusApi
from sidecar.verify.results import LoadResult

SETTLE_S = 60.0
"""The longest wait for the last streams to be counted, beyond linger."""

OVER_S = 300.0
"""How long the last answers may take once nobody asks any more."""

STREAM_S = 1.0
"""How long each of a number of streams may take, one after the other, before the load is given up."""

FILES_WANTED = 65_536
TELL_S = 1.0
OPEN = "sse_streams_active"


class LoadFailed(Exception):
    """The load did not come to its end; the message says why."""


@dataclass(slots=True)
class LoadProgress:
    """How far people are, by the process they live in."""

    asked: dict[int, int] = field(default_factory=dict)
    under_way: dict[int, int] = field(default_factory=dict)
    broken: dict[int, int] = field(default_factory=dict)
    under_way_max: int = 0

    def take(self, part: int, said: dict[str, int]) -> None:
        """Take what one process says."""
        for name, known in (("asked", self.asked), ("under_way", self.under_way), ("broken", self.broken)):
            known[part] = said[name]
        self.under_way_max = max(self.under_way_max, sum(self.under_way.values()))

    def line(self, seconds: float) -> str:
        """Say it in a line."""
        asked, now, broken = (sum(each.values()) for each in (self.asked, self.under_way, self.broken))
        return f"{seconds:4.0f} s  {asked} questions asked, {now} answers under way, {broken} promises broken"


async def run(load: Workload, tell: Callable[[str], None] = lambda _: None) -> LoadResult:
    """Run the load; ``tell`` receives a line per second.

    Raises LoadFailed, and NotStarted of ``own``.
    """
    allow_open_files()
    with TemporaryDirectory(prefix="sse-load-") as name:
        async with own(settings=load.settings()) as ours:
            sidecar = ours.sidecar
            if sidecar is None:
                raise LoadFailed("there is no sidecar")
            async with _prometheus(sidecar, Path(name)) as api:
                return await _run(load, sidecar, api, Path(name), tell)


async def _run(
    load: Workload, sidecar: Server, api: PrometheusApi | None, directory: Path, tell: Callable[[str], None]
) -> LoadResult:
    began, progress, machine = time.monotonic(), LoadProgress(), Machine()
    parts = [_people(part, directory, progress) for part in load.parts(sidecar.url)]
    telling = asyncio.create_task(_tell(progress, tell))
    try:
        accounts = await asyncio.gather(*parts)
    finally:
        telling.cancel()
    busy = machine.busy_share()
    account = Account()
    for each in accounts:
        account.add(each)
    tell("Everybody has finished; those who left are counted after their linger.")
    used = await of_itself(sidecar.admin_url)
    await _settled(sidecar, load.linger_s + SETTLE_S)
    books = await _books(sidecar, api)
    took_s = time.monotonic() - began
    said = await audit.counted(books)
    eligible, completed = audit.eligible_of(account)
    return LoadResult(
        users=load.users,
        seed=load.seed,
        took_s=took_s,
        streams=account.streams,
        eligible=eligible,
        completed=completed,
        did=_did(account, progress),
        reconnects_s=[round(seconds, 3) for seconds in account.reconnects_s],
        objectives=audit.objectives(account, said),
        metrics=said.metrics | busy | {"people_late_max_s": round(account.late_s, 3)},
        differences=audit.differences(account, said),
        sidecar_rss_bytes=int(await used.total("process_resident_memory_bytes")),
        sidecar_cpu_s=round(await used.total("process_cpu_seconds_total"), 2),
        counted_by=books.name,
    )


def _did(account: Account, progress: LoadProgress) -> dict[str, int]:
    more = {
        "answers under way at once, at most": progress.under_way_max,
        "messages handed to people": account.events,
        "messages that came twice and were dropped by the client": account.dropped,
        "failures told": account.failures_told,
        "ends that only the sidecar can know": account.doubts.total(),
        "reconnects that the sidecar has to have measured": account.returns,
    }
    return dict(sorted(account.did.items())) | more


@asynccontextmanager
async def _prometheus(sidecar: Server, directory: Path) -> AsyncIterator[PrometheusApi | None]:
    """Have a Prometheus scrape the sidecar where one is installed."""
    async with AsyncExitStack() as stack:
        admin = urlsplit(sidecar.admin_url).netloc
        try:
            api = await stack.enter_async_context(prometheus(scraping(admin), directory / "prometheus"))
        except ProgramMissing:
            api = None
        yield api


async def _people(part: LoadShare, directory: Path, progress: LoadProgress) -> Account:
    """Run one process of people and return their account; raises LoadFailed."""
    log = directory / f"people-{part.part}.log"
    log.touch()
    command = [sys.executable, "-m", "sidecar.verify.load.crowd", part.as_argument()]
    bound_s = part.seconds + part.streams * STREAM_S + OVER_S
    try:
        async with asyncio.timeout(bound_s), program(command, log) as running:
            with log.open() as lines:
                account = None
                while account is None and running.running:
                    await asyncio.sleep(TELL_S)
                    account = _read(part, lines.readlines(), progress)
                account = account or _read(part, lines.readlines(), progress)
    except TimeoutError:
        raise LoadFailed(f"people have not finished within {bound_s:g} s") from None
    if account is None:
        raise LoadFailed(f"a process of people ended: {last_words(log)}")
    return account


def _read(part: LoadShare, lines: list[str], progress: LoadProgress) -> Account | None:
    for line in lines:
        said = json.loads(line) if line.startswith("{") and line.endswith("}\n") else {}
        if "account" in said:
            return Account.from_json(said["account"])
        if said:
            progress.take(part.part, said)
    return None


async def _tell(progress: LoadProgress, tell: Callable[[str], None]) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(TELL_S)
        tell(progress.line(time.monotonic() - began))


async def _settled(sidecar: Server, within_s: float) -> None:
    """Wait until every stream has been counted; raises LoadFailed."""
    try:
        async with asyncio.timeout(within_s):
            while await (await of_itself(sidecar.admin_url)).total(OPEN):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(TELL_S)
    except TimeoutError:
        raise LoadFailed(f"some streams have no end after {within_s:g} s") from None


async def _books(sidecar: Server, api: PrometheusApi | None) -> Books:
    return await of_itself(sidecar.admin_url) if api is None else await after_last_scrape(api, time.time())


def allow_open_files() -> None:
    """Raise the limit of open files, up to FILES_WANTED."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft != resource.RLIM_INFINITY and limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
