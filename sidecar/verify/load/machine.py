"""How busy the machine is while a load runs: everything of it runs here."""

from pathlib import Path

STAT = Path("/proc/stat")


class Machine:
    """Its processors from this moment on."""

    def __init__(self) -> None:
        self._before = _ticks()

    def busy_share(self) -> dict[str, float]:
        """Return the used share of processor time since, or None."""
        now = _ticks()
        if now is None or self._before is None:
            return {}
        idle, every = now[0] - self._before[0], now[1] - self._before[1]
        return {"machine_busy_ratio": round(1 - idle / every, 3)} if every else {}


def _ticks() -> tuple[int, int] | None:
    """Return idle and all processor ticks (proc(5)), or None."""
    try:
        first = STAT.read_text().partition("\n")[0].split()[1:]
    except OSError:
        return None
    ticks = [int(value) for value in first[:8]]
    return ticks[3] + ticks[4], sum(ticks)
