"""The closed sets of values of metric labels.

Ids, addresses, paths and users are never labels.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """How a logical stream ended."""

    COMPLETED = "completed"
    CLIENT_CANCELLED = "client_cancelled"
    CLIENT_LEFT = "client_left"
    CLIENT_ABANDONED = "client_abandoned"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_TRUNCATED = "upstream_truncated"
    STALL_UNRECOVERED = "stall_unrecovered"
    RESUME_EXPIRED = "resume_expired"
    SIDECAR_ERROR = "sidecar_error"
    ORPHANED = "orphaned"


class Side(StrEnum):
    """The side of a lost connection."""

    CLIENT = "client"
    UPSTREAM = "upstream"


class ReconnectEnd(StrEnum):
    """How a reconnect ended. A give-up is an observation too."""

    RESUMED = "resumed"
    GAVE_UP = "gave_up"


class LossReason(StrEnum):
    """Why messages never reach the client; each reason has one stage."""

    WINDOW = "window"
    TRIMMED = "trimmed"
    UPSTREAM_GAP = "upstream_gap"


LOSS_STAGES = {
    LossReason.WINDOW: "sidecar",
    LossReason.TRIMMED: "client",
    LossReason.UPSTREAM_GAP: "upstream",
}


class DuplicateStage(StrEnum):
    """The side that received a message again."""

    UPSTREAM = "upstream"
    CLIENT = "client"


class DuplicateDisposition(StrEnum):
    """The fate of a duplicate."""

    SUPPRESSED = "suppressed"
    DELIVERED = "delivered"


class SilentKind(StrEnum):
    """How a stream failed while it looked healthy."""

    TRUNCATED = "truncated"
    EMPTY = "empty"
    HUNG = "hung"
    WRONG_CONTENT_TYPE = "wrong_content_type"


class SilentDisposition(StrEnum):
    """Whether the client received the failure."""

    SURFACED = "surfaced"
    LEAKED = "leaked"


class StallEnd(StrEnum):
    """How a declared stall ended."""

    RECOVERED = "recovered"
    FAILED = "failed"
    FALSE_ALARM = "false_alarm"


class ResumeResult(StrEnum):
    """The result of a request with a position."""

    RESUMED = "resumed"
    NO_CONTENT = "no_content"
    GAP = "gap"
    EXPIRED = "expired"
    TOO_LATE = "too_late"
    REFUSED = "refused"
    FOREIGN = "foreign"
    BAD_REQUEST = "bad_request"


class UnprovenReason(StrEnum):
    """Why the continuity of a stream is unknown."""

    OPAQUE_UPSTREAM_ID = "opaque_upstream_id"
    REUSED_UPSTREAM_ID = "reused_upstream_id"
    CLIENT_NEVER_RETURNED = "client_never_returned"
    OVERSIZE_EVENT = "oversize_event"
    ENCODED = "encoded"


class ReportVerdict(StrEnum):
    """The verdict of a client report."""

    AGREE = "agree"
    LOST = "lost"
    DUPLICATED = "duplicated"
    UNFINISHED = "unfinished"
    REJECTED = "rejected"


class JournalOp(StrEnum):
    """An operation of the journal."""

    APPEND = "append"
    READ = "read"
    TRIM = "trim"


class LogState(StrEnum):
    """Whether a client has received a message of a log."""

    UNDELIVERED = "undelivered"
    DELIVERED = "delivered"


class CodeClass(StrEnum):
    """The class of a response's status."""

    INFORMATIONAL = "1xx"
    SUCCESSFUL = "2xx"
    REDIRECTION = "3xx"
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
    ABORTED = "aborted"


_CLASSES = tuple(CodeClass)[:5]


def code_class(status: int | None) -> CodeClass:
    """Return the class of a status (RFC 9110 section 15), else ``aborted``."""
    if status is None or not 100 <= status <= 599:  # noqa: PLR2004 - the bounds are the RFC's
        return CodeClass.ABORTED
    return _CLASSES[status // 100 - 1]
