"""The bytes of a stream that is no longer framed."""

RAW_BYTES_MAX = 256 * 1024
"""Held for the slowest reader; above it the upstream waits."""

READ_BYTES_MAX = 64 * 1024
"""One read hands out no more than this."""


class Passthrough:
    """Bytes with an offset, dropped when every reader has them."""

    __slots__ = ("_held", "_start")

    def __init__(self) -> None:
        self._held = bytearray()
        self._start = 0

    @property
    def end(self) -> int:
        """Return the offset after the last byte."""
        return self._start + len(self._held)

    @property
    def high(self) -> bool:
        """Whether the upstream has to wait."""
        return len(self._held) > RAW_BYTES_MAX

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end."""
        self._held += chunk

    def read(self, offset: int) -> bytes:
        """Return the next bytes from ``offset`` on, or none.

        Raises LookupError if they were dropped.
        """
        at = offset - self._start
        if at < 0:
            raise LookupError(f"the bytes at offset {offset} are given back")
        return bytes(self._held[at : at + READ_BYTES_MAX])

    def trim(self, offset: int) -> None:
        """Drop the bytes before ``offset``."""
        at = min(offset - self._start, len(self._held))
        if at > 0:
            del self._held[:at]
            self._start += at
