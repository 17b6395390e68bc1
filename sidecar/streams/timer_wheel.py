"""One timer wheel for all streams and subscribers.

The wheel visits an item when it is due; the visit returns the next due time. Activity in between costs
nothing: an item that is not due yet returns a later time.
"""

import asyncio
from heapq import heappop, heappush
from typing import Protocol

TICK_S = 0.05
"""Items due within one tick are visited together; no visit is later than this."""

STALLED_S = 1.0
"""A turn so late shows that the process stood still: what peers sent meanwhile is read before it visits."""


class Visited(Protocol):
    """An item that the wheel visits."""

    wheel_slot: int | None

    def visit(self, now: float) -> float | None:
        """Do what is due; return the loop time of the next visit, or None."""
        ...


class TimerWheel:
    """Slots of TICK_S seconds; sleeps until the next one that holds something."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tick_s: float = TICK_S) -> None:
        self._loop = loop
        self._tick_s = tick_s
        self._slots: dict[int, dict[Visited, None]] = {}
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_slot = 0
        self._timer_due = 0.0
        self._has_waited = False

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def add(self, item: Visited, due: float) -> None:
        """Visit ``item`` at loop time ``due``, or a tick later."""
        self.discard(item)
        slot = int(due / self._tick_s) + 1
        held = self._slots.get(slot)
        if held is None:
            held = self._slots[slot] = {}
            heappush(self._order, slot)
            self._arm()
        held[item] = None
        item.wheel_slot = slot

    def discard(self, item: Visited) -> None:
        """Remove ``item``."""
        if item.wheel_slot is not None:
            held = self._slots.get(item.wheel_slot)
            if held is not None:
                held.pop(item, None)
            item.wheel_slot = None

    def close(self) -> None:
        """Stop turning."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._slots.clear()
        self._order.clear()

    def _arm(self) -> None:
        first = self._order[0]
        if self._timer is not None:
            if self._timer_slot <= first:
                return
            self._timer.cancel()
        self._turn_at(max(first * self._tick_s, self._loop.time()), first)

    def _turn_at(self, due: float, slot: int) -> None:
        self._timer_due, self._timer_slot = due, slot
        self._timer = self._loop.call_at(due, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._loop.time()
        if now - self._timer_due > STALLED_S and not self._has_waited:
            self._has_waited = True  # once: a loop that is always late must still visit
            self._turn_at(now + self._tick_s, self._timer_slot)
            return
        self._has_waited = False
        reached = max(int(now / self._tick_s), self._timer_slot)  # the quotient may be rounded down
        while self._order and self._order[0] <= reached:
            slot = heappop(self._order)
            held = self._slots[slot]
            while held:
                for item in list(held):
                    if item.wheel_slot == slot:  # else another visit has discarded or moved it
                        self._visit(item, now)
            del self._slots[slot]
        if self._order and self._timer is None:
            self._arm()

    def _visit(self, item: Visited, now: float) -> None:
        """Visit one item; its defect must not stop the clock of all the others."""
        self.discard(item)
        try:
            due = item.visit(now)
        except Exception as error:  # noqa: BLE001 - the top of what the loop calls: told, and the wheel turns on
            self._loop.call_exception_handler({"message": "visit failed", "exception": error})
            return
        if due is not None:
            self.add(item, max(due, now))
