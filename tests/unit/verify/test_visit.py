"""One person of a load: whatever is done with an answer is accounted for, and tampering shows."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from sidecar.demo import webapi
from sidecar.demo.faults import DemoFault
from sidecar.verify.load.account import Account
from sidecar.verify.load.talk import FAILURE_FROM, FAMILIES, Pace, UserDialogue
from sidecar.verify.load.visit import Habit, UserVisit, Visitor
from sidecar.verify.load.workload import ROUTES
from tests.kit.fake_upstream import FakeUpstream
from tests.kit.running import RunningSidecar, running
from tests.kit.tampering_proxy import Tamper, TamperingProxy

pytestmark = pytest.mark.slow  # together they take a minute

PACE = Pace(interval_s=0.05, stall_s=1)
TOKENS, LONG = 30, 90
LINGER_S = 5.0
CLIENT_STALL_S = 1.0

SETTINGS = [
    {
        "name": name,
        "path": path,
        "methods": ["POST"],
        "heartbeat_s": 0.2,
        "stall_s": 0.5,
        "upstream_idle_s": 3,
        "linger_s": LINGER_S,
    }
    for name, path in ROUTES.items()
]


@asynccontextmanager
async def site(*meddles: Tamper) -> AsyncIterator[tuple[RunningSidecar, str]]:
    """The demo backend, a sidecar, and a proxy that meddles with the first connections, each its own way."""
    async with (
        webapi.running(webapi.create_app()) as backend,
        running(backend, routes=SETTINGS) as sc,
    ):
        if not meddles:
            yield sc, f"http://127.0.0.1:{sc.port}"
            return
        tampering_proxy = TamperingProxy(*meddles)
        async with FakeUpstream(tampering_proxy) as front:
            tampering_proxy.stand_before(sc.client)
            yield sc, front.url


async def visit(
    url: str, habit: Habit, fault: DemoFault | None = None, *, number: int = 0, tokens: int = TOKENS
) -> Account:
    talk = UserDialogue(number, FAMILIES[number % len(FAMILIES)], tokens, PACE, f"seed {number}", fault, 10)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        visitor = Visitor(url, session, CLIENT_STALL_S)
        return await UserVisit(visitor, talk, habit, random.Random(number)).run()


def is_clean(account: Account) -> bool:
    return not (account.broken or account.lost or account.duplicates or account.silent or account.asked_again)


@pytest.mark.parametrize("habit", [Habit.READS, Habit.IS_CUT, Habit.MOVES, Habit.RETURNS])
async def test_whoever_reads_on_gets_everything_once(habit: Habit) -> None:
    async with site() as (sc, url):
        accounts = await asyncio.gather(*(visit(url, habit, number=number) for number in range(3)))
        for account in accounts:
            assert is_clean(account), account
            assert account.ends == {"completed": 1}
            assert len(account.reconnects_s) <= (habit is not Habit.READS)
        await sc.until(lambda: sc.outcomes() == {"completed": 3})


@pytest.mark.slow
async def test_a_cut_is_a_reconnect_that_the_sidecar_measures_too() -> None:
    async with site() as (sc, url):
        account = await visit(url, Habit.IS_CUT, tokens=LONG)
        assert len(account.reconnects_s) == account.returns == 1
        assert sc.metric("sse_reconnect_duration_seconds_count", side="client") == 1


async def test_whoever_cancels_is_counted_so() -> None:
    async with site() as (sc, url):
        account = await visit(url, Habit.CANCELS, tokens=2 * LONG)
        assert is_clean(account), account
        assert account.ends == {"client_cancelled": 1}
        await sc.until(lambda: sc.outcomes() == {"client_cancelled": 1})


@pytest.mark.slow
async def test_whoever_leaves_says_so_and_is_counted_so() -> None:
    async with site() as (sc, url):
        account = await visit(url, Habit.LEAVES, tokens=2 * LONG)
        assert is_clean(account), account
        assert account.ends == {"client_left": 1}
        await sc.until(lambda: sc.outcomes() == {"client_left": 1}, within_s=30)


@pytest.mark.parametrize(
    "fault", [DemoFault.RESET, DemoFault.TRUNCATE, DemoFault.ERROR, DemoFault.NO_TERMINAL, DemoFault.EMPTY]
)
async def test_what_the_backend_loses_is_told_and_counted(fault: DemoFault) -> None:
    async with site() as (sc, url):
        numbers = range(FAILURE_FROM, FAILURE_FROM + 3)
        accounts = await asyncio.gather(*(visit(url, Habit.READS, fault, number=each) for each in numbers))
        for account in accounts:
            assert is_clean(account), account
            assert account.failures_told == 1
        (outcome,) = accounts[0].ends
        assert sc.outcomes() == {outcome: 3}


async def test_a_backend_that_falls_silent_for_good_is_told_and_counted() -> None:
    async with site() as (sc, url):
        account = await visit(url, Habit.READS, DemoFault.STALL, number=FAILURE_FROM)
        assert is_clean(account), account
        assert account.ends == {"stall_unrecovered": 1}
        assert sc.outcomes() == {"stall_unrecovered": 1}


async def test_a_backend_that_is_silent_for_a_while_costs_nothing() -> None:
    async with site() as (sc, url):
        account = await visit(url, Habit.READS, DemoFault.STALL)
        assert is_clean(account), account
        assert account.ends == {"completed": 1}
        assert sc.metric("sse_stall_recovery_seconds_count") == 1


async def test_a_question_that_is_refused_is_no_stream_and_is_told() -> None:
    async with site() as (sc, url):
        account = await visit(url, Habit.READS, DemoFault.STATUS, number=FAILURE_FROM)
        assert is_clean(account), account
        assert account.streams == 0
        assert account.did["was refused by the backend, and told"] == 1
        assert sc.outcomes() == {}


def without(nth: int) -> Tamper:
    """Let one message vanish."""
    return _nth(nth, lambda _: b"")


def never(seq: int) -> Tamper:
    """Let one message vanish, whenever it comes."""
    named = re.compile(rb"^id: .*\.%d$" % seq, re.MULTILINE)
    blocks = re.compile(rb"(?<=\n\n)")
    return lambda piece: b"".join(block for block in blocks.split(piece) if not named.search(block))


def twice(nth: int) -> Tamper:
    return _nth(nth, lambda piece: piece * 2)


def altered(nth: int) -> Tamper:
    return _nth(nth, lambda piece: piece.replace(b"data:", b"data: changed"))


def _nth(nth: int, change: Callable[[bytes], bytes]) -> Tamper:
    seen = 0

    def meddle(piece: bytes) -> bytes:
        nonlocal seen
        seen += 1
        return change(piece) if seen == nth else piece

    return meddle


async def test_a_message_that_was_swallowed_once_is_asked_for_and_costs_a_reconnect() -> None:
    async with site(without(5)) as (_, url):
        account = await visit(url, Habit.READS)
        assert is_clean(account), account
        assert (account.lost, len(account.reconnects_s)) == (0, 1)


async def test_a_message_that_never_came_is_lost_by_the_persons_record() -> None:
    async with site(never(5), never(5)) as (_, url):
        account = await visit(url, Habit.READS)
        assert account.lost >= 1
        assert any("missed" in sentence for sentence in account.sentences)


async def test_a_message_with_other_bytes_is_a_broken_promise() -> None:
    async with site(altered(5)) as (_, url):
        account = await visit(url, Habit.READS)
        assert any("with other bytes" in sentence for sentence in account.sentences)


async def test_a_message_that_came_twice_is_dropped_by_the_client_and_counted() -> None:
    async with site(twice(5)) as (_, url):
        account = await visit(url, Habit.READS)
        assert account.dropped >= 1
        assert is_clean(account), account
