"""Compare the users' records with the metrics."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor, isnan, sqrt
from statistics import mean, quantiles

from sidecar.observability.catalogue import RECONNECT_BUCKETS
from sidecar.observability.labels import Outcome
from sidecar.observability.slo import NOT_ELIGIBLE, SLO
from sidecar.verify.load.account import Account
from sidecar.verify.load.books import Books
from sidecar.verify.results import Objective

RECONNECT_MEAN_S, RECONNECT_P95_S = 2.5, 4.2

FINISHED = "sse_streams_finished_total"
RECONNECT = "sse_reconnect_duration_seconds"
LOST = "sse_messages_lost_total"
DUPLICATED = "sse_messages_duplicated_total"
SILENT = "sse_silent_failures_total"
DETECTION, RECOVERY = "sse_stall_detection_seconds", "sse_stall_recovery_seconds"
CLIENT = {"side": "client"}


@dataclass(frozen=True, slots=True)
class Counted:
    """The counted values; times in s, None without a measurement."""

    outcomes: dict[str, float]
    started: float
    active: float
    reconnects: float
    reconnect_mean_s: float | None
    reconnect_p95_s: float | None
    lost: float
    duplicates: float
    leaked: float
    detection_p95_s: float | None
    recovery_p95_s: float | None
    loop_lag_p99_s: float | None

    @property
    def eligible(self) -> float:
        """Streams that the completion objective counts."""
        return sum(count for outcome, count in self.outcomes.items() if outcome not in NOT_ELIGIBLE)

    @property
    def completion(self) -> float | None:
        """Share of them that completed."""
        return self.outcomes.get(Outcome.COMPLETED, 0) / self.eligible if self.eligible else None

    @property
    def metrics(self) -> dict[str, float]:
        """The six key metrics, and how late the sidecar was for its own timers."""
        six = {
            "completion": self.completion,
            "reconnect_p95_s": self.reconnect_p95_s,
            "messages_lost": self.lost,
            "duplicates_delivered": self.duplicates,
            "silent_failures_leaked": self.leaked,
            "stall_detection_p95_s": self.detection_p95_s,
            "stall_recovery_p95_s": self.recovery_p95_s,
            "event_loop_lag_p99_s": self.loop_lag_p99_s,
        }
        return {name: value for name, value in six.items() if value is not None}


async def counted(books: Books) -> Counted:
    """Read the books."""
    reconnects = await books.total(f"{RECONNECT}_count", **CLIENT)
    seconds = await books.total(f"{RECONNECT}_sum", **CLIENT)
    return Counted(
        outcomes=await books.by(FINISHED, "outcome"),
        started=await books.total("sse_streams_started_total"),
        active=await books.total("sse_streams_active"),
        reconnects=reconnects,
        reconnect_mean_s=seconds / reconnects if reconnects else None,
        reconnect_p95_s=_known(await books.quantile(0.95, RECONNECT, **CLIENT)),
        lost=await books.total(LOST),
        duplicates=await books.total(DUPLICATED, disposition="delivered"),
        leaked=await books.total(SILENT, disposition="leaked"),
        detection_p95_s=_known(await books.quantile(0.95, DETECTION)),
        recovery_p95_s=_known(await books.quantile(0.95, RECOVERY)),
        loop_lag_p99_s=_known(await books.quantile(0.99, "sse_event_loop_lag_seconds")),
    )


def objectives(account: Account, said: Counted) -> list[Objective]:
    """Return each objective with both measurements.

    An objective without a measurement holds.
    """
    eligible, completed = eligible_of(account)
    completion = completed / eligible if eligible else None
    reconnects_s = account.reconnects_s
    least = SLO.completion_objective
    return [
        _objective("completion", f">= {100 * least:g} %", completion, said.completion, at_least=least),
        _objective(
            "reconnect mean",
            f"< {RECONNECT_MEAN_S:g} s",
            mean(reconnects_s) if reconnects_s else None,
            said.reconnect_mean_s,
            below=RECONNECT_MEAN_S,
        ),
        _objective(
            "reconnect p95",
            f"< {RECONNECT_P95_S:g} s",
            p95(reconnects_s),
            said.reconnect_p95_s,
            below=RECONNECT_P95_S,
        ),
        _objective("messages lost", "0", account.lost, said.lost, below=1),
        _objective("duplicates delivered", "0", account.duplicates, said.duplicates, below=1),
        _objective("silent failures", "0", account.silent, said.leaked, below=1),
    ]


def eligible_of(account: Account) -> tuple[int, int]:
    """Return the streams of the completion objective, and the completed."""
    ends = account.outcomes()
    eligible = sum(count for outcome, count in ends.items() if outcome not in NOT_ELIGIBLE)
    return eligible, ends[Outcome.COMPLETED]


def p95(values: list[float]) -> float | None:
    """Return the value below which 95 % lie; None: there are none."""
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else next(iter(values), None)


def differences(account: Account, said: Counted) -> list[str]:
    """Return a sentence for each difference and each violation."""
    return [*_streams(account, said), *_reconnects(account, said), *_nevers(account, said), *_broken(account)]


def _streams(account: Account, said: Counted) -> Iterator[str]:
    if said.started != account.streams + account.asked_again:
        yield (
            f"People were given {account.streams} streams, {account.asked_again} of them with a second "
            f"request; {said.started:g} were counted as started."
        )
    unaccounted = said.started - sum(said.outcomes.values()) - said.active
    if unaccounted:
        yield f"{unaccounted:g} of the streams that were counted as started neither ended nor are open."
    possible: Counter[str] = Counter()
    for joined, doubtful in account.doubts.items():
        for name in joined.split("|"):
            possible[name] += doubtful
    for outcome in Outcome:
        least, most = account.ends[outcome], account.ends[outcome] + possible[outcome]
        count = said.outcomes.get(outcome, 0)
        if not least <= count <= most:
            expected = f"{least}" if least == most else f"{least} to {most}"
            yield f"By people's records {expected} streams are {outcome}; counted were {count:g}."


def _reconnects(account: Account, said: Counted) -> Iterator[str]:
    least, most = account.returns, account.returns + account.returns_in_doubt
    if not least <= said.reconnects <= most:
        yield f"By people's records {least} to {most} reconnects; counted were {said.reconnects:g}."
    own, theirs = p95(account.reconnects_s), said.reconnect_p95_s
    if own is None or theirs is None:
        return
    least_s, most_s = _p95_within(account.reconnects_s)
    if not _bucket(least_s) - 1 <= _bucket(theirs) <= _bucket(most_s) + 1:
        yield f"The p95 of reconnects is {own:.2f} s by people's records, and {theirs:.2f} s as counted."


def _p95_within(values: list[float]) -> tuple[float, float]:
    """Return the values around the p95 (95 % confidence, by ranks).

    Each side has seen some reconnects that the other one has not, and few of them decide a quantile.
    """
    found, count = sorted(values), len(values)
    middle, spread = 0.95 * (count - 1), 2 * sqrt(0.95 * 0.05 * count)
    return found[max(0, floor(middle - spread))], found[min(count - 1, ceil(middle + spread))]


def _bucket(seconds: float) -> int:
    return bisect_left(RECONNECT_BUCKETS, seconds)


def _nevers(account: Account, said: Counted) -> Iterator[str]:
    pairs: dict[str, tuple[float, float]] = {
        "lost messages": (account.lost, said.lost),
        "duplicates": (account.duplicates, said.duplicates),
        "silent failures": (account.silent, said.leaked),
    }
    for what, (by_people, by_books) in pairs.items():
        if by_people != by_books:
            yield f"People's records know of {by_people:g} {what}; counted were {by_books:g}."


def _broken(account: Account) -> Iterator[str]:
    yield from account.sentences
    if account.broken > len(account.sentences):
        yield f"{account.broken} promises were broken in all; the others are not listed."


def _objective(  # noqa: PLR0913 - what an objective is made of
    name: str,
    asks: str,
    by_clients: float | None,
    by_books: float | None,
    *,
    at_least: float | None = None,
    below: float | None = None,
) -> Objective:
    known = [value for value in (by_clients, by_books) if value is not None]
    held = all(
        (at_least is None or value >= at_least) and (below is None or value < below) for value in known
    )
    return Objective(name=name, asks=asks, by_clients=by_clients, by_prometheus=by_books, held=held)


def _known(value: float) -> float | None:
    return None if isnan(value) else value
