"""The budget of all logs: eviction above it, and a low watermark."""

from sidecar.streams.log_budget import LOW_WATERMARK_RATIO, LogBudget
from sidecar.streams.replay_log import ReplayLog


class Evictions:
    """Finished logs of some size each; the budget evicts them one by one."""

    def __init__(self, bytes_max: int, sizes: list[int]) -> None:
        self.sizes = sizes
        self.spared: list[ReplayLog] = []
        self.drained = 0
        self.budget = LogBudget(bytes_max, self._evict, self._on_drained)

    def _evict(self, spare: ReplayLog) -> bool:
        self.spared.append(spare)
        if not self.sizes:
            return False
        self.budget.add(ReplayLog(), -self.sizes.pop(0))
        return True

    def _on_drained(self) -> None:
        self.drained += 1


def test_the_budget_itself_is_not_above_the_budget() -> None:
    held = Evictions(100, [10])
    assert not held.budget.add(ReplayLog(), 100)
    assert (held.budget.bytes_held, held.budget.high, held.sizes) == (100, False, [10])


def test_above_the_budget_finished_logs_are_evicted_until_it_fits() -> None:
    held, log = Evictions(100, [10, 20, 30]), ReplayLog()
    held.budget.add(ReplayLog(), 60)
    assert not held.budget.add(log, 65)
    assert (held.budget.bytes_held, held.sizes) == (95, [30])
    assert held.spared == [log, log]


def test_without_a_finished_log_the_budget_is_high() -> None:
    held = Evictions(100, [])
    assert held.budget.add(ReplayLog(), 101)
    assert held.budget.high


def test_bytes_that_go_evict_nothing() -> None:
    held = Evictions(100, [])
    held.budget.add(ReplayLog(), 150)
    held.sizes.append(10)
    assert held.budget.add(ReplayLog(), -20)
    assert held.sizes == [10]


def test_upstreams_continue_once_below_the_low_watermark() -> None:
    held = Evictions(100, [])
    held.budget.add(ReplayLog(), 120)
    low = int(100 * LOW_WATERMARK_RATIO)
    held.budget.add(ReplayLog(), low - 120)
    assert held.drained == 0
    held.budget.add(ReplayLog(), -1)
    held.budget.add(ReplayLog(), -1)
    assert held.drained == 1


def test_below_the_budget_nothing_is_drained() -> None:
    held = Evictions(100, [])
    held.budget.add(ReplayLog(), 50)
    held.budget.add(ReplayLog(), -50)
    assert held.drained == 0
