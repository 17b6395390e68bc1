"""The pause of an upstream."""

from sidecar.streams.back_pressure import BackPressure


def test_a_paused_upstream_is_asked_each_time_until_it_continues() -> None:
    pressure = BackPressure()
    asked: list[int] = []
    pressure.drained()
    pressure.pause(lambda: asked.append(1))
    pressure.drained()
    pressure.drained()
    pressure.resume()
    pressure.drained()
    assert asked == [1, 1]
    assert not pressure.paused


def test_an_upstream_may_continue_while_it_is_asked() -> None:
    pressure = BackPressure()
    pressure.pause(pressure.resume)
    pressure.drained()
    assert not pressure.paused
