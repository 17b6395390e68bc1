"""The users of the stack do to streams what they are said to do, and the proxy in front what it is told."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from compose import habits
from compose.chat_client import ChatClient, ChatRequest, client
from compose.faults import FAULTS
from compose.front import front
from compose.users import QUESTIONS, StackUsers
from sidecar.demo.webapi import create_app
from sidecar.demo.webapi import running as running_backend
from sidecar.verify.program import free_port
from tests.kit.client import SSEClient
from tests.kit.running import RunningSidecar, running

TOKENS = 20
ANSWER = ChatRequest("/api/chat", {"n": str(TOKENS), "interval_ms": "10", "seed": "users"})
FEED = ChatRequest("/notifications", {"interval_ms": "10"})
CHAT: dict[str, Any] = {"name": "chat", "path": "/api/chat", "complete_on": "done", "linger_s": 10}
SOON_GONE = {**CHAT, "linger_s": 0.05}
SHORT_LOG = {"name": "feed", "path": "/notifications", "kind": "live", "linger_s": 10, "log_events_max": 5}


@asynccontextmanager
async def one_user(route: dict[str, Any]) -> AsyncIterator[tuple[ChatClient, RunningSidecar]]:
    async with (
        running_backend(create_app()) as url,
        running(url, routes=[route]) as sc,
        client(f"http://127.0.0.1:{sc.port}", "user-1") as browser,
    ):
        yield browser, sc
        await sc.until(lambda: not sc.metric("sse_subscribers"))


async def outcome_of(
    habit: habits.Habit, route: dict[str, Any], question: ChatRequest = ANSWER
) -> RunningSidecar:
    async with one_user(route) as (browser, sc):
        await habit(browser, question, random.Random(1))
        await sc.until(sc.outcomes)
        return sc


@pytest.mark.parametrize(
    ("habit", "route", "outcome"),
    [
        (habits.reads, CHAT, "completed"),
        (habits.loses_the_network, CHAT, "completed"),
        (habits.cancels, CHAT, "client_cancelled"),
        (habits.leaves, SOON_GONE, "client_left"),
        (habits.vanish, SOON_GONE, "client_abandoned"),
    ],
)
async def test_what_a_user_does_ends_the_stream_as_it_should(
    habit: habits.Habit, route: dict[str, Any], outcome: str
) -> None:
    sc = await outcome_of(habit, route)
    assert sc.outcomes() == {outcome: 1}
    assert sc.metric("sse_messages_lost_total") == 0


async def test_a_user_who_comes_back_has_every_event_once() -> None:
    async with one_user(CHAT) as (browser, sc):
        async with browser.ask(ANSWER) as reading:
            await reading.read(7)
            reading.cut()
        assert not reading.ended
        async with browser.back(reading):
            await reading.read()
        assert (reading.events, reading.ended) == (TOKENS + 1, True)
        async with browser.back(reading):
            await reading.read()
        assert (reading.events, reading.ended) == (TOKENS + 1, True)
        assert sc.metric("sse_reconnect_duration_seconds_count", outcome="resumed", side="client") == 1


async def test_a_reader_of_a_feed_that_outruns_its_log_loses_messages() -> None:
    async with one_user(SHORT_LOG) as (browser, sc):
        await habits.burst(browser, FEED, random.Random(1))
        assert sc.metric("sse_messages_lost_total", stage="sidecar") > 0


def drawn(seed: int, fault: str = "") -> list[tuple[str, str]]:
    users = StackUsers("http://127.0.0.1:1", seed=seed)
    users.fault = FAULTS.get(fault)
    chance = random.Random(f"{seed}/1")
    draws = (users._draw(chance) for _ in range(200))
    return [(f"{question.path} {question.query}", habit.__name__) for question, habit in draws]


def test_a_seed_decides_who_does_what() -> None:
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_ordinary_users_ask_on_every_route_and_do_everything_that_is_ordinary() -> None:
    asked = drawn(1)
    assert {question.split()[0] for question, _ in asked} == {ask(random.Random(1)).path for ask in QUESTIONS}
    ordinary = {habit.__name__ for habit in (*habits.ANSWER_HABITS, *habits.FEED_HABITS)}
    assert {habit for _, habit in asked} == ordinary
    assert not any("fault" in question for question, _ in asked)


def test_a_fault_of_the_backend_is_felt_by_about_half_of_those_who_ask() -> None:
    felt = [question for question, _ in drawn(1, "reset") if "'fault': 'reset'" in question]
    assert 50 < len(felt) < 120


@pytest.mark.parametrize(("spoils", "first"), [(False, b'data: {"text"'), (True, b'date: {"text"')])
async def test_a_proxy_in_front_changes_what_it_relays_only_when_it_is_told_to(
    spoils: bool, first: bytes
) -> None:
    port = free_port()
    async with running_backend(create_app()) as url, front(port, int(url.rpartition(":")[2])) as before:
        before.spoils = spoils
        answer = await SSEClient("127.0.0.1", port).fetch("GET", "/api/chat?n=2&interval_ms=1")
        assert answer.raw.startswith(first)
