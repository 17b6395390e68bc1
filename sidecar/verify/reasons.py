"""The reasons of a failed scenario, as sentences."""

from collections import Counter
from collections.abc import Iterator

from sidecar.verify import timing
from sidecar.verify.findings import Findings
from sidecar.verify.scenarios import FAILS_WITHIN_S, RECOVERY_S
from sidecar.verify.shown import told_after_s

BACKOFF_ROW = 4
"""So many waits in a row are looked at at least: 1, 2, 4, 5 s."""

COUNTED = frozenset({"twice", "missing", "upstream", "untold"})
"""Rules whose single violations say little: they are counted, in sentences of their own."""


class Reasons:
    """The sentences about one scenario at one server."""

    def __init__(self, found: Findings) -> None:
        self._found = found

    def failed(self) -> Iterator[str]:
        """Yield a sentence for each criterion that was not met."""
        yield from self._out_of_time()
        yield from self._untouched()
        yield from self._incomplete()
        yield from self._again()
        yield from self._broken()
        yield from self._silently()
        yield from self._late()
        yield from self._not_recovered()
        yield from self._wrong_waits()

    def _out_of_time(self) -> Iterator[str]:
        for part in self._found.played:
            if part.out_of_time:
                took_s = part.ended_at_s - part.started_at_s
                yield f"{part.part.name}: some users had not come to an end after {took_s:.0f} s."

    def _untouched(self) -> Iterator[str]:
        for part in self._found.played:
            if part.part.turns and not part.happened:
                took_s = part.ended_at_s - part.started_at_s
                yield (
                    f"{part.part.name}: all answers were over after {took_s:.1f} s, before anything happened "
                    "to them; a longer one is needed."
                )

    def _incomplete(self) -> Iterator[str]:
        if self._found.completion() < self._found.completion_min():
            asked = f"{100 * self._found.completion_min():g} %"
            whole, eligible = self._found.completed(), len(self._found.eligible())
            yield f"{whole} of {eligible} answers were whole at their end; {asked} is promised."

    def _again(self) -> Iterator[str]:
        """Return a sentence on the cost of an answer that starts again."""
        twice, requests = self._found.rules()["twice"], self._found.requests()
        streams = len({(id(part), reader.stream) for part, reader in self._found.readers()})
        too_many = requests is not None and self._found.rules()["upstream"] and requests > streams
        if twice and too_many:
            yield (
                f"{self._capital()} the backend began the answer anew: {_times(twice, 'message')} twice, "
                f"{requests} generations for {_times(streams, 'answer')}."
            )
        elif twice:
            yield f"{self._capital()} {_times(twice, 'message')} came twice."
        elif too_many:
            yield f"{requests} generations were made for {_times(streams, 'answer')}."
        elif self._found.rules()["upstream"]:
            yield f"Of {_times(streams, 'answer')} the backend knows {requests} generations."

    def _capital(self) -> str:
        occasion = self._found.scenario.occasion
        return occasion[0].upper() + occasion[1:]

    def _broken(self) -> Iterator[str]:
        if lost := self._found.lost():
            yield f"{_times(lost, 'message')} were left out, and nobody said so."
        others: dict[str, list[str]] = {}
        for breach in self._found.breaches:
            others.setdefault(breach.rule, []).append(breach.sentence)
        for violation in self._found.violations:
            if violation.rule not in COUNTED:
                others.setdefault(violation.rule, []).append(violation.sentence)
        for rule, sentences in others.items():
            more = f" And {len(sentences) - 1} more of these." if len(sentences) > 1 else ""
            yield f"{rule}: {sentences[0]}{more}"

    def _silently(self) -> Iterator[str]:
        for name, count in Counter(part.part.name for part, _ in self._found.silent()).items():
            yield f"{name}: {_times(count, 'user')} saw nothing, or an answer that looked whole and was not."

    def _late(self) -> Iterator[str]:
        for part, reader in self._found.readers():
            after_s = None if part.part.ends == "complete" else told_after_s(part, reader)
            within_s = FAILS_WITHIN_S + (self._found.subject.stall_s if part.part.ends == "silence" else 0.0)
            if after_s is not None and after_s > within_s:
                who = reader.person.name
                yield f"{who} was told {after_s:.1f} s after the failure; {within_s:g} s is promised."

    def _not_recovered(self) -> Iterator[str]:
        for part, reader in self._found.eligible():
            if not part.part.recovers:
                continue
            silences = list(timing.silences_s(reader.person))
            if not silences:
                yield f"{reader.person.name} never noticed the silence."
            for _, again in silences:
                if again is None or again >= RECOVERY_S:
                    took = "never" if again is None else f"{again:.1f} s later"
                    who = reader.person.name
                    yield f"{who} noticed a silence, and had messages {took}; {RECOVERY_S:g} s is promised."

    def _wrong_waits(self) -> Iterator[str]:
        looked_at = [reader.person for part, reader in self._found.eligible() if part.part.follows_backoff]
        yield from (sentence for person in looked_at for sentence in timing.wrong_waits(person))
        if looked_at and max(map(timing.failures_in_row, looked_at)) < BACKOFF_ROW:
            yield f"Nobody had to wait {BACKOFF_ROW} times in a row, so the waits could not be judged."

    def not_checked(self) -> Iterator[str]:
        """Yield what could not be judged here, each with the reason."""
        subject = self._found.subject
        if subject.unjudged:
            yield f"Loss, order and bytes of the messages: {subject.unjudged}."
        if subject.own is None:
            yield "Requests to the backend: this server's backend keeps no record that could be read."
            if not any(
                each.stream for _, reader in self._found.readers() for each in reader.person.connections
            ):
                yield "Positions, gaps and endings on the wire: this server names no stream (no SSE-Stream)."
            else:
                yield "Whose a stream is: who may read it here is not known."
        left_out = [
            part.name for parts in self._found.scenario.rounds for part in parts if not subject.takes(part)
        ]
        if left_out:
            needed = "a sidecar" if subject.own else "a backend that fails on request"
            yield f"{', '.join(left_out)}: there would have to be {needed}."


def _times(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
