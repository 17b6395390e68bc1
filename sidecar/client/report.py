"""The client report: counts and durations.

It has no content, no address and no identity.
"""

import json
from collections.abc import Iterable
from typing import Literal

from sidecar.client.course import StreamCourse
from sidecar.client.progress import Progress

VERSION = 1
REPORT_BYTES_MAX = 4096
GAPS_BYTES_MAX = 2500
"""What the gaps may take of it; all the rest together has a bound below the difference."""

At = Literal["end", "recovery"]


def report(progress: Progress, course: StreamCourse, at: At, *, unread: int = 0) -> bytes:
    """Return the JSON of a report of at most REPORT_BYTES_MAX.

    ``unread``: messages that have come, but that the program was not handed: they do not count.
    """
    last_seq = progress.last_seq - unread
    said: dict[str, object] = {
        "v": VERSION,
        "stream": progress.stream,
        "received": progress.counted - unread,
        "first_seq": progress.first_seq,
        "last_seq": last_seq,
        "gaps": _that_fit([gap for gap in progress.announced if gap[1] <= last_seq], GAPS_BYTES_MAX),
        "duplicates": progress.duplicates,
        "reconnects": [round(seconds, 3) for seconds in course.reconnects],
        "stalls": course.stalls,
        "state": course.state,
        "told": True,
        "at": at,
    }
    return json.dumps(said, separators=(",", ":")).encode()


def _that_fit(gaps: Iterable[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    fitting = []
    for gap in gaps:
        size -= len(f"[{gap[0]},{gap[1]}],")
        if size < 0:
            break
        fitting.append(gap)
    return fitting
