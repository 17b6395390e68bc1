"""What users saw of a failure, and whether it was silent."""

from collections.abc import Iterator

from sidecar.client import State
from sidecar.verify.person import Person, ShownState
from sidecar.verify.reader import VerifyingReader
from sidecar.verify.results import Shown
from sidecar.verify.stage import Played

FINE_STATES = frozenset({State.CONNECTING, State.OPEN, State.CLOSED})


def shown(played: Played) -> list[Shown]:
    """Return the first notice and the last state of the first user.

    The gap of a part, as the user received it.
    """
    if played.part.ends == "complete":
        return list(_gaps(played))
    reader = played.readers[0]
    failed_at_s = _failed_at_s(played, reader.person)
    notices = _notices(reader.person)
    if not notices:
        return [_shown(played.part.name, "nothing", "", played.ended_at_s - failed_at_s, silent=True)]
    first, last = notices[0], notices[-1]
    silent = is_silent(played, reader)
    told = [first] if (first.state, first.sentence) == (last.state, last.sentence) else [first, last]
    return [
        _shown(played.part.name, str(seen.state), seen.sentence, seen.at_s - failed_at_s, silent=silent)
        for seen in told
    ]


def _gaps(played: Played) -> Iterator[Shown]:
    """Yield the first gap that a user received, from its request."""
    for reader in played.readers:
        for at_s, gap in reader.person.gaps[:1]:
            sentence = f"Messages {gap.missed_from} to {gap.missed_through} will not come: {gap.reason}."
            asked_at_s = reader.person.connections[0].asked_at_s
            yield _shown(
                played.part.name, str(reader.person.state), sentence, at_s - asked_at_s, silent=False
            )
            return


def told_after_s(played: Played, reader: VerifyingReader) -> float | None:
    """Return the time from the failure to its notice, or None."""
    notices = _notices(reader.person)
    return max(0.0, notices[0].at_s - _failed_at_s(played, reader.person)) if notices else None


def is_silent(played: Played, reader: VerifyingReader) -> bool:
    """Return whether the failure was silent for a user."""
    state = reader.person.state
    if state is State.COMPLETED:
        return not is_whole(played, reader)
    if played.part.ends == "complete":
        return state is State.OPEN and not reader.stopped and not is_whole(played, reader)
    return not _notices(reader.person)


def is_whole(played: Played, reader: VerifyingReader) -> bool:
    """Return whether a user has every message, or a gap for it."""
    if played.truth is None:
        return True
    had = set(reader.seqs(played.truth)) | set(range(1, reader.after + 1))
    for start, through in reader.told_gaps:
        had |= set(range(start, through + 1))
    return had >= set(range(1, len(played.truth.hashes) + 1))


def _notices(person: Person) -> list[ShownState]:
    return [seen for seen in person.seen if seen.state not in FINE_STATES]


def _failed_at_s(played: Played, person: Person) -> float:
    """Return the time of the failure.

    It is that of the path, of the last message or of the request.
    """
    if played.happened:
        return played.happened[0][0]
    if not person.connections:
        return played.started_at_s
    first = person.connections[0]
    before = [handed.at_s for handed in person.handed if handed.at_s <= (first.over_at_s or handed.at_s)]
    return before[-1] if before else first.asked_at_s


def _shown(failure: str, state: str, sentence: str, after_s: float, *, silent: bool) -> Shown:
    return Shown(
        failure=failure, state=state, sentence=sentence, after_s=round(max(0.0, after_s), 3), silent=silent
    )
