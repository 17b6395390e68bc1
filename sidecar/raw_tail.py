"""What is left of a stream that is no longer framed: bytes on their way to the readers attached now."""

from collections import deque

RAW_BYTES_MAX = 256 * 1024
"""Held for the slowest reader; above it the upstream waits."""


class RawTail:
    """Bytes with an offset, read by several cursors, given back when all have passed."""

    __slots__ = ("_chunks", "_start", "bytes_held", "end")

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._start = 0
        self.end = 0
        self.bytes_held = 0

    @property
    def full(self) -> bool:
        """Whether the upstream has to wait."""
        return self.bytes_held > RAW_BYTES_MAX

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end."""
        if chunk:
            self._chunks.append(chunk)
            self.end += len(chunk)
            self.bytes_held += len(chunk)

    def read(self, offset: int) -> bytes:
        """Return the next bytes from ``offset`` on, at most one chunk; empty: there are none yet."""
        at = self._start
        for chunk in self._chunks:
            if offset < at + len(chunk):
                return chunk[offset - at :]
            at += len(chunk)
        return b""

    def trim(self, offset: int) -> None:
        """Give back what lies wholly before ``offset``."""
        while self._chunks and self._start + len(self._chunks[0]) <= offset:
            gone = len(self._chunks.popleft())
            self._start += gone
            self.bytes_held -= gone
