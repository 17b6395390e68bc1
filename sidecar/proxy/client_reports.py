"""Client reports, compared with the log of their stream.

A report can be false. So it confirms no more than was delivered. It changes no number that an alert or a
conservation law uses. The reports of one stream add a bounded amount.
"""

import hmac
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from prometheus_client import Counter

from sidecar.observability import log_events
from sidecar.observability.labels import DuplicateDisposition, DuplicateStage, Outcome, ReportVerdict
from sidecar.proxy.report import Judgement, Report, StreamFacts, judge, parse
from sidecar.streams.hub import Hub
from sidecar.streams.stream import Stream

REPORTS_PER_STREAM_MAX = 100
"""Reports of one stream that are counted; what more of them confirm is confirmed all the same."""

NOTES_PER_STREAM_MAX = 16
"""Lines that reports may add to a stream's history, which has room for 64."""

UNDISPUTED = frozenset({ReportVerdict.AGREE, ReportVerdict.UNFINISHED})
"""The client has everything up to its last seq, but for what it was told would not come."""


class ReportState:
    """What has been said so far of one stream."""

    __slots__ = ("duplicates", "missed", "notes", "reports", "verdicts")

    def __init__(self) -> None:
        self.reports = self.notes = self.duplicates = self.missed = 0
        self.verdicts: set[ReportVerdict] = set()


class ClientReports:
    """Takes reports; ``counts`` holds the counter of each verdict."""

    def __init__(self, hub: Hub, counts: Mapping[ReportVerdict, Counter]) -> None:
        self._hub = hub
        self._counts = counts
        self._said: WeakKeyDictionary[Stream, ReportState] = WeakKeyDictionary()

    def take(self, body: bytes) -> None:
        """Count a report as far as it is plausible; raise nothing."""
        report = parse(body)
        stream = self._stream_of(report) if report is not None else None
        if report is None or stream is None:
            self._counts[ReportVerdict.REJECTED].inc()
            return
        judgement = judge(report, _known(stream))
        said = self._said.setdefault(stream, ReportState())
        said.reports += 1
        if said.reports <= REPORTS_PER_STREAM_MAX:
            self._counts[judgement.verdict].inc()
        if judgement.verdict is not ReportVerdict.REJECTED:
            _believe(report, judgement, stream, said)

    def _stream_of(self, report: Report) -> Stream | None:
        """Return the stream of the report's token.

        The token authorizes the report, since a beacon has no login.
        """
        stream = self._hub.find(report.stream)
        if stream is None or not hmac.compare_digest(stream.id.encode(), report.stream.encode()):
            return None
        return stream


def _known(stream: Stream) -> StreamFacts:
    log, ending, sealed_seq = stream.log, stream.ending, stream.ledger.sealed_seq
    return StreamFacts(
        entries=log.last_seq,
        messages=log.last_seq if sealed_seq is None else sealed_seq - 1,
        trimmed_through=log.first_seq - 1,
        completed=ending is not None and ending.outcome is Outcome.COMPLETED,
        unframed=stream.raw is not None,
    )


def _believe(report: Report, judgement: Judgement, stream: Stream, said: ReportState) -> None:
    ledger, metrics = stream.ledger, stream.metrics
    if judgement.verdict in UNDISPUTED and report.first_seq <= ledger.proof.confirmed_seq + 1:
        ledger.confirm(min(report.last_seq, ledger.delivered_seq))
    duplicates = min(report.duplicates, stream.log.last_seq)
    metrics.messages_duplicated[DuplicateStage.CLIENT, DuplicateDisposition.SUPPRESSED] += max(
        0, duplicates - said.duplicates
    )
    metrics.client_missed_messages += max(0, judgement.missed - said.missed)
    said.duplicates = max(said.duplicates, duplicates)
    said.missed = max(said.missed, judgement.missed)
    if report.goodbye:
        stream.subscribers.goodbye(stream.clock())
    _write_down(report, judgement.verdict, stream, said)


def _write_down(report: Report, verdict: ReportVerdict, stream: Stream, said: ReportState) -> None:
    """Write a report into the timeline, and its complaints into the log."""
    if said.notes < NOTES_PER_STREAM_MAX and (verdict is not ReportVerdict.AGREE or report.at != "recovery"):
        said.notes += 1
        told = "" if report.told else ", its user was not told"
        stream.note(
            f"client reports {report.state}{told}: {report.received} received, "
            f"seq {report.first_seq} to {report.last_seq}: {verdict}"
        )
    if verdict is not ReportVerdict.AGREE and verdict not in said.verdicts:
        said.verdicts.add(verdict)
        log_events.client_disagrees(
            stream.handle,
            stream.policy.name,
            verdict,
            state=report.state,
            received=report.received,
            first_seq=report.first_seq,
            last_seq=report.last_seq,
            messages=stream.ledger.received,
            told=report.told,
        )
