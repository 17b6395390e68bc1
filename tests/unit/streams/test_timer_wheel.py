"""The timer wheel: everything is visited when it is due, at most one tick late, and never after a discard."""

import asyncio
import math
import random
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.streams.timer_wheel import TICK_S, TimerWheel

ROUNDING_S = 1e-9


class Timer:
    """See asyncio.TimerHandle."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop whose clock the test moves; it speaks time, call_at and call_exception_handler."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.timers: list[tuple[float, int, Timer, Callable[[], None]]] = []
        self.made = 0
        self.problems: list[dict[str, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        self.made += 1
        timer = Timer()
        heappush(self.timers, (when, self.made, timer, callback))
        return timer

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(context)

    def run_until(self, end: float) -> None:
        while self.timers and self.timers[0][0] <= end:
            when, _, timer, callback = heappop(self.timers)
            self.now = max(self.now, math.nextafter(when, math.inf))
            if not timer.cancelled:
                callback()
        self.now = max(self.now, end)

    @property
    def armed(self) -> int:
        return sum(not timer.cancelled for _, _, timer, _ in self.timers)


class Item:
    """Notes its visits; ``then`` says when the next one is due."""

    def __init__(self, then: Callable[[float], float | None] = lambda _: None) -> None:
        self.wheel_slot: int | None = None
        self.visits: list[float] = []
        self._then = then

    def visit(self, now: float) -> float | None:
        self.visits.append(now)
        return self._then(now)


def wheel_of(loop: Loop) -> TimerWheel:
    return TimerWheel(cast("asyncio.AbstractEventLoop", loop))


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def wheel(loop: Loop) -> TimerWheel:
    return wheel_of(loop)


@pytest.mark.parametrize("slot", [43, 81, 86])
def test_a_timer_that_fires_at_its_very_moment_visits(loop: Loop, wheel: TimerWheel, slot: int) -> None:
    assert int(slot * TICK_S / TICK_S) < slot, "the quotient of these times is rounded down"
    item = Item()
    wheel.add(item, (slot - 0.5) * TICK_S)
    loop.now, _, _, callback = heappop(loop.timers)
    callback()
    assert item.visits == [loop.now]


def test_an_item_is_visited_once_when_it_is_due(loop: Loop, wheel: TimerWheel) -> None:
    item = Item()
    wheel.add(item, 1.0)
    loop.run_until(1.0)
    assert item.visits == []
    loop.run_until(1.0 + TICK_S + ROUNDING_S)
    assert len(item.visits) == 1
    loop.run_until(10.0)
    assert (len(item.visits), len(wheel), loop.armed) == (1, 0, 0)


@given(st.lists(st.floats(0, 50), min_size=1, max_size=30), st.floats(0, 1e6))
def test_no_visit_is_early_and_none_is_later_than_a_tick(waits: list[float], start: float) -> None:
    loop = Loop(start)
    wheel = wheel_of(loop)
    items = [(Item(), start + wait) for wait in waits]
    for item, due in items:
        wheel.add(item, due)
    loop.run_until(start + 60)
    for item, due in items:
        (visited,) = item.visits
        assert due <= visited <= due + TICK_S + ROUNDING_S


def test_ten_thousand_items_keep_their_own_phases(loop: Loop, wheel: TimerWheel) -> None:
    chance = random.Random(7)
    phases = [chance.uniform(0, 10) for _ in range(10_000)]
    items = [Item(lambda now: now + 10) for _ in phases]
    for item, phase in zip(items, phases, strict=True):
        wheel.add(item, phase)
    assert (len(wheel), loop.armed) == (10_000, 1)
    loop.run_until(35)
    for item, phase in zip(items, phases, strict=True):
        assert len(item.visits) in {3, 4}
        for number, visited in enumerate(item.visits):
            assert phase + 10 * number <= visited <= phase + (10 + TICK_S) * (number + 1)
    per_tick = [sum(item.visits[0] // TICK_S == tick for item in items) for tick in range(200)]
    assert max(per_tick) < 150, "spread over ten seconds, not bunched"


def test_after_the_process_stood_still_there_is_a_tick_to_read_what_came_before_the_first_visit(
    loop: Loop, wheel: TimerWheel
) -> None:
    item = Item(lambda now: now + 1)
    wheel.add(item, 1.0)
    loop.now = 6.0  # nothing ran for five seconds
    loop.run_until(6.0)
    assert item.visits == []
    loop.run_until(7.0)
    assert len(item.visits) == 1
    assert 6 + TICK_S <= item.visits[0] <= 6 + TICK_S + ROUNDING_S


def test_where_every_turn_is_late_every_second_one_visits(loop: Loop, wheel: TimerWheel) -> None:
    item = Item(lambda now: now + 1)
    wheel.add(item, 1.0)
    for turn in range(1, 9):
        loop.now = 6.0 * turn
        loop.run_until(loop.now)
    assert len(item.visits) == 4


def test_a_later_item_makes_no_timer_and_an_earlier_one_replaces_it(loop: Loop, wheel: TimerWheel) -> None:
    wheel.add(Item(), 5.0)
    wheel.add(Item(), 6.0)
    assert (loop.made, loop.armed) == (1, 1)
    first = Item()
    wheel.add(first, 1.0)
    assert (loop.made, loop.armed) == (2, 1)
    loop.run_until(2.0)
    assert len(first.visits) == 1
    assert (len(wheel), loop.armed) == (2, 1)


def test_an_item_that_is_added_again_is_visited_at_its_new_time_only(loop: Loop, wheel: TimerWheel) -> None:
    item = Item()
    wheel.add(item, 1.0)
    wheel.add(item, 3.0)
    loop.run_until(2.0)
    assert (item.visits, len(wheel)) == ([], 1)
    loop.run_until(4.0)
    assert len(item.visits) == 1


def test_a_discarded_item_is_not_visited_and_discarding_it_twice_is_harmless(
    loop: Loop, wheel: TimerWheel
) -> None:
    item = Item()
    wheel.add(item, 1.0)
    wheel.discard(item)
    wheel.discard(item)
    loop.run_until(2.0)
    assert (item.visits, len(wheel), loop.armed) == ([], 0, 0)


def test_an_item_says_itself_when_it_is_visited_next(loop: Loop, wheel: TimerWheel) -> None:
    item = Item(lambda now: now + 1 if now < 3 else None)
    wheel.add(item, 1.0)
    loop.run_until(20.0)
    assert len(item.visits) == 3
    for number, visited in enumerate(item.visits):
        assert 1 + number <= visited <= 1 + number + TICK_S * (number + 1) + ROUNDING_S


def test_an_item_may_put_itself_back_during_its_visit(loop: Loop, wheel: TimerWheel) -> None:
    def again(now: float) -> None:
        if now < 2:
            wheel.add(item, now + 1)

    item = Item(again)
    wheel.add(item, 1.0)
    loop.run_until(10.0)
    assert len(item.visits) == 2


def test_an_item_that_a_visit_of_the_same_tick_discards_is_not_visited(loop: Loop, wheel: TimerWheel) -> None:
    items: list[Item] = []

    def discard_the_others(_: float) -> None:
        for item in items:
            wheel.discard(item)

    items += [Item(discard_the_others) for _ in range(5)]
    for item in items:
        wheel.add(item, 1.0)
    loop.run_until(2.0)
    assert sum(len(item.visits) for item in items) == 1
    assert len(wheel) == 0


def test_an_item_that_a_visit_of_the_same_tick_puts_off_is_visited_then_and_once(
    loop: Loop, wheel: TimerWheel
) -> None:
    late = Item()
    early = Item(lambda _: wheel.add(late, 5.0))
    wheel.add(early, 1.0)
    wheel.add(late, 1.0)
    loop.run_until(4.0)
    assert (len(early.visits), late.visits, len(wheel)) == (1, [], 1)
    loop.run_until(20.0)
    assert (len(late.visits), len(wheel)) == (1, 0)


def test_a_time_in_the_past_means_the_next_tick_not_for_ever_now(loop: Loop, wheel: TimerWheel) -> None:
    item = Item(lambda _: 0.0)
    wheel.add(item, 1.0)
    loop.run_until(2.0)
    assert len(item.visits) <= 1.1 / TICK_S
    for earlier, later in zip(item.visits, item.visits[1:], strict=False):
        assert later - earlier == pytest.approx(TICK_S)


def test_a_defect_in_one_visit_is_told_and_stops_nobody_else(loop: Loop, wheel: TimerWheel) -> None:
    error = RuntimeError("a defect")

    def fail(_: float) -> None:
        raise error

    neighbours = [Item(lambda now: now + 1), Item(fail), Item(lambda now: now + 1)]
    for item in neighbours:
        wheel.add(item, 1.0)
    loop.run_until(4.0)
    assert [len(item.visits) for item in neighbours] == [3, 1, 3]
    assert [problem["exception"] for problem in loop.problems] == [error]


def test_a_closed_wheel_visits_nobody(loop: Loop, wheel: TimerWheel) -> None:
    items = [Item(), Item()]
    wheel.add(items[0], 1.0)
    wheel.add(items[1], 2.0)
    wheel.close()
    assert (len(wheel), loop.armed) == (0, 0)
    wheel.close()
    wheel.discard(items[0])
    loop.run_until(5.0)
    assert [item.visits for item in items] == [[], []]


def test_a_wheel_may_be_used_again_after_its_end(loop: Loop, wheel: TimerWheel) -> None:
    wheel.add(Item(), 1.0)
    wheel.close()
    item = Item()
    wheel.add(item, 2.0)
    loop.run_until(5.0)
    assert (len(item.visits), loop.made) == (1, 2)


@given(st.data())
def test_in_any_schedule_each_item_is_visited_exactly_when_it_was_last_asked_to_be(
    data: st.DataObject,
) -> None:
    loop = Loop()
    wheel = wheel_of(loop)
    items = [Item() for _ in range(4)]
    due: dict[int, float] = {}
    for _ in range(data.draw(st.integers(1, 30), "steps")):
        number = data.draw(st.integers(0, 3), "item")
        match data.draw(st.sampled_from(["add", "discard", "run"]), "step"):
            case "add":
                due[number] = loop.now + data.draw(st.floats(0, 3), "wait")
                wheel.add(items[number], due[number])
            case "discard":
                due.pop(number, None)
                wheel.discard(items[number])
            case _:
                loop.run_until(loop.now + data.draw(st.floats(0, 2), "time"))
        for index, item in enumerate(items):
            for visited in item.visits:
                asked = due.pop(index)
                assert asked <= visited <= asked + TICK_S + ROUNDING_S
            item.visits.clear()
            assert index not in due or due[index] >= loop.now - TICK_S - ROUNDING_S
    assert len(wheel) == len(due)
