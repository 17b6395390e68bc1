"""The questions that only panels ask, in PromQL; those that rules ask too are in ``alerts.queries``.

Rules read recordings; panels read the series themselves, because a recording over a job has no instance.
"""

from alerts.queries import RECONNECTS, RESUMED, WATCHDOG, increase, rate, select, total
from sidecar.config.routes import CANARY_ROUTE
from sidecar.observability.labels import Side, StallEnd
from sidecar.observability.slo import SLO

JOB = 'job=~"$job", instance=~"$instance"'
"""Matchers of what the chosen sidecars export."""

USERS = f'{JOB}, route=~"$route", route!="{CANARY_ROUTE}"'
"""Matchers of what users cause on the chosen routes: never the sidecar's own probe."""

CANARY = f'{JOB}, route="{CANARY_ROUTE}"'
SHORT = "$__rate_interval"
DAY = "1d"
DAY_NAME = "24 h"
LONGEST = max((rate.long for rate in SLO.burn_rates), key=lambda window: window.seconds)
LONG = LONGEST.name
LONG_NAME = f"{LONGEST.seconds / 86_400:g} days"
"""The longest window of an alert."""

STALL_DETECTION = "sse_stall_detection_seconds"
STALL_RECOVERY = "sse_stall_recovery_seconds"


def per_minute(metric: str, *matchers: str, scope: str = USERS, by: tuple[str, ...] = ()) -> str:
    """Ask how many were counted per minute: what happens rarely reads badly per second."""
    return f"60 * {rate(metric, *matchers, scope=scope, window=SHORT, by=by)}"


def level(metric: str, *matchers: str, scope: str = USERS, by: tuple[str, ...] = ()) -> str:
    """Ask how much there is now."""
    return total(select(metric, *matchers, scope=scope), *by)


def share(part: str, whole: str) -> str:
    """Ask which share of ``whole`` is ``part``; nothing where there is no whole."""
    return f"{part} / ({whole} > 0)"


def reconnected_in_time(window: str, by: tuple[str, ...] = ()) -> str:
    """Ask which share of reconnects was back within the objective's seconds; given up is never in time."""
    within = f'le="{float(SLO.reconnect_s)}"'
    fast = increase(f"{RECONNECTS}_bucket", within, RESUMED, scope=USERS, window=window, by=by)
    return share(fast, increase(f"{RECONNECTS}_count", scope=USERS, window=window, by=by))


def buckets(metric: str, *matchers: str, scope: str = USERS) -> str:
    """Ask how many observations fell below each edge of a histogram, as a heatmap takes it."""
    return increase(f"{metric}_bucket", *matchers, scope=scope, window=SHORT, by=("le",))


def stalls(end: StallEnd, window: str) -> str:
    """Ask how many stalls ended this way."""
    return increase(f"{STALL_RECOVERY}_count", f'outcome="{end}"', scope=USERS, window=window)


def stalls_recovered(window: str) -> str:
    """Ask which share of real stalls ended well."""
    good = stalls(StallEnd.RECOVERED, window)
    return share(good, f"({good} + {stalls(StallEnd.FAILED, window)})")


def stalls_real(window: str) -> str:
    """Ask which share of the stalls that were declared, and ended without failing, had been stalls."""
    good = stalls(StallEnd.RECOVERED, window)
    return share(good, f"({good} + {stalls(StallEnd.FALSE_ALARM, window)})")


def storm() -> str:
    """Ask how often the client of an open stream comes back, per minute."""
    client = f'side="{Side.CLIENT}"'
    return share(per_minute(f"{RECONNECTS}_count", client), level("sse_streams_active"))


def unaccounted(recorded: str) -> str:
    """Ask how much the books are out by, in whichever direction: 0."""
    return f"sum(abs({select(recorded, scope=USERS)}))"


def in_a_day(metric: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """Ask how many were counted in the last 24 hours."""
    return increase(metric, *matchers, scope=USERS, window=DAY, by=by)


def watchdog_age() -> str:
    """Ask how long ago each watchdog last looked at every stream, in seconds."""
    return f"time() - {select(WATCHDOG, scope=JOB)}"


def canary_age() -> str:
    """Ask how long ago a known stream last came through, in seconds; nothing where none ever did."""
    return f"time() - ({select('sse_canary_last_pass_timestamp_seconds', scope=JOB)} > 0)"


def of_delivered(metric: str, window: str) -> str:
    """Ask which share of the messages delivered was counted by ``metric`` too, which is a little later."""
    delivered = increase("sse_messages_delivered_total", scope=USERS, window=window)
    return f"clamp_max({share(increase(metric, scope=USERS, window=window), delivered)}, 1)"


def log_fill() -> str:
    """Ask which share of its budget each sidecar's logs take; the canary's bytes count like any."""
    used = level("sse_log_bytes", scope=JOB, by=("instance",))
    return f"{used} / {level('sse_log_budget_bytes', scope=JOB, by=('instance',))}"


def replayed_per_resume() -> str:
    """Ask how many messages are written again to a client that comes back, on average."""
    replayed = increase("sse_messages_replayed_total", scope=USERS, window=SHORT)
    client = f'side="{Side.CLIENT}"'
    back = increase(f"{RECONNECTS}_count", client, RESUMED, scope=USERS, window=SHORT)
    return share(replayed, back)
