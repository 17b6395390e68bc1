"""The body of an HTTP/1.1 message, taken out of its framing (RFC 9112, section 6)."""

import re
from typing import Literal, TypeAlias

from tests.kit.head import Fields

Framing: TypeAlias = Literal["chunked", "length", "until close", "none"]

CHUNK_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\r\n]*)?")
LINE_BYTES_MAX = 64 * 1024


class Body:
    """Takes the bytes that follow a head and gives back those of the body.

    ``complete`` says that the framing announced the end and it came; ``rest`` is what arrived behind the end;
    ``defect`` says what is wrong with the framing, after which nothing more is taken.
    """

    def __init__(self, framing: Framing, length: int = 0) -> None:
        self.framing = framing
        self.complete = framing == "none" or (framing == "length" and length == 0)
        self.defect = ""
        self.trailers: list[str] = []
        self.rest = b""
        self._left = length
        self._expects: Literal["size", "data", "line end", "trailer"] = "size"

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the wire; return the body bytes among them."""
        self.rest += data
        if self.framing == "until close":
            return self._take(len(self.rest))
        if self.framing == "length":
            return self._feed_length()
        return self._feed_chunks() if self.framing == "chunked" else b""

    def _take(self, size: int) -> bytes:
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def _feed_length(self) -> bytes:
        taken = self._take(self._left)
        self._left -= len(taken)
        self.complete = self._left == 0
        return taken

    def _feed_chunks(self) -> bytes:
        body = b""
        while not self.complete and not self.defect:
            if self._expects == "data" and self.rest:
                body += self._take_chunk_data()
            elif self._expects != "data" and b"\r\n" in self.rest:
                self._take_line()
            else:
                self._refuse_if(len(self.rest) > LINE_BYTES_MAX, "a line without end", self.rest[:40])
                break
        return body

    def _take_chunk_data(self) -> bytes:
        taken = self._take(self._left)
        self._left -= len(taken)
        if self._left == 0:
            self._expects = "line end"
        return taken

    def _take_line(self) -> None:
        line, _, self.rest = self.rest.partition(b"\r\n")
        if self._expects == "size":
            self._take_size(line)
        elif self._expects == "line end":
            self._expects = "size"
            self._refuse_if(line != b"", "bytes behind the chunk's data", line)
        elif line:
            self.trailers.append(line.decode("latin-1"))
        else:
            self.complete = True

    def _take_size(self, line: bytes) -> None:
        match = CHUNK_SIZE_LINE.fullmatch(line)
        self._refuse_if(match is None, "not a chunk size", line)
        self._left = int(match[1], 16) if match else 0
        self._expects = "data" if self._left else "trailer"

    def _refuse_if(self, wrong: bool, what: str, line: bytes) -> None:
        if wrong:
            self.defect = f"{what}: {line!r}"


def request_body(fields: Fields) -> Body:
    """Choose the framing of a request's body; without either field there is none (RFC 9112, 6.3)."""
    return _framed(fields) or Body("none")


def response_body(method: str, status: int, fields: Fields) -> Body:
    """Choose the framing of a response's body, the request's method considered (RFC 9112, 6.3)."""
    if method == "HEAD" or status in {204, 304} or status < 200:
        return Body("none")
    return _framed(fields) or Body("until close")


def _framed(fields: Fields) -> Body | None:
    if fields.tokens("transfer-encoding")[-1:] == ["chunked"]:
        return Body("chunked")
    length = fields.get("content-length")
    return None if length is None else Body("length", int(length))
