"""What a script of the fake upstream holds in its hands: one connection, and the request it answers."""

import asyncio
from http import HTTPStatus

from tests.kit.body import Body, request_body
from tests.kit.deadline import WAIT_S, within
from tests.kit.head import FieldLines, Fields, MessageHead, split_head, write_head
from tests.kit.upstream_request import RecordedRequest
from tests.kit.wire import AcceptedConnection

STALL_S_MAX = 60.0
"""A script that stalls longer than this has a peer that forgot it."""


class UpstreamConnection:
    """One TCP connection to the fake upstream; ``number`` counts from 0 in the order of accepting.

    What a script sends goes out at once and literally. The connection carries another request only after
    ``end()``; a script that returns without it leaves the connection to be closed with FIN.
    """

    def __init__(self, number: int, wire: AcceptedConnection) -> None:
        self.number = number
        self.requests: list[RecordedRequest] = []
        self._wire = wire
        self._unread = b""
        self._body = Body("none")
        self._answered = False
        self._chunked = False
        self._said_close = False
        self._over = asyncio.Event()
        self._kept = False

    @property
    def request(self) -> RecordedRequest:
        """The request being answered."""
        return self.requests[-1]

    @property
    def closed_by_peer_at(self) -> float | None:
        """The loop's time when the peer's FIN or RST arrived, None unless it came before an end of ours."""
        return self._wire.peer_left_at

    @property
    def fate(self) -> str:
        """What became of the connection: "open", "peer fin", "peer reset" or "ended by us"."""
        return self._wire.fate

    async def closed_by_peer(self, within_s: float = 1.0) -> float:
        """Wait until the peer closes; return the loop's time of it. Overdue if it does not in time."""
        return await self._wire.closed_by_peer(within_s)

    async def next_request(self, number: int) -> RecordedRequest | None:
        """Wait for the next request's head, which gets ``number``; None when the peer sends no more."""
        head = await self._read_head()
        if head is None:
            return None
        self._body = request_body(head.fields)
        self._answered = self._chunked = self._said_close = self._kept = False
        self._over.clear()
        now = asyncio.get_running_loop().time()
        self.requests.append(RecordedRequest(number, self.number, head, now, self._wire))
        self.request.body_complete = self._body.complete
        return self.request

    async def _read_head(self) -> MessageHead | None:
        while True:
            head, self._unread = split_head(self._unread)
            if head is not None:
                return head
            data = await self._wire.read()
            if not data:
                return None
            self._unread += data

    async def body(self, within_s: float = WAIT_S) -> bytes:
        """Read the request's body to its end and return all of it."""
        async with within(within_s, lambda: f"the body is not complete: {self.request}"):
            while await self.read_body():
                pass
        return self.request.body

    async def read_body(self) -> bytes:
        """Wait for some more of the request's body and return it; empty at its end.

        Says 100 Continue first where the request waits for that. ConnectionResetError if the body breaks off,
        ValueError if its chunks are malformed. A script that does not read makes the peer wait, once
        ``UNREAD_BYTES_MAX`` and the kernel's buffers are full.
        """
        await self._let_continue()
        new = b""
        while not new and not self._body.complete:
            new = self._body.feed(await self._more())
            if self._body.defect:
                raise ValueError(f"the body of {self.request}: {self._body.defect}")
        if self._body.complete:
            self._unread, self._body.rest = self._body.rest + self._unread, b""
        self.request.received_body += new
        self.request.body_complete = self._body.complete
        return new

    async def _let_continue(self) -> None:
        waits = self.request.headers.tokens("expect") == ["100-continue"]
        if waits and not self._answered and not self._body.complete:
            await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _more(self) -> bytes:
        data, self._unread = self._unread, b""
        data = data or await self._wire.read()
        if not data:
            raise ConnectionResetError("the peer left in the middle of the request's body")
        return data

    async def send(self, data: bytes) -> None:
        """Send literal bytes. They do not count as body sent; see ``request.record``."""
        self._answered = True
        await self._wire.write(data)

    async def send_head(
        self, status: int = 200, headers: FieldLines = (), *, reason: str | None = None
    ) -> None:
        """Send a status line and exactly these header fields, nothing more."""
        fields = Fields(headers)
        self._chunked = fields.tokens("transfer-encoding")[-1:] == ["chunked"]
        self._said_close = "close" in fields.tokens("connection")
        phrase = _phrase(status) if reason is None else reason
        await self.send(write_head(f"HTTP/1.1 {status} {phrase}", fields))

    async def write(self, body: bytes) -> None:
        """Send body bytes in the framing that the head announced: as one chunk, or as they are."""
        if self._chunked:
            await self.chunk(body)
        else:
            self.request.record(body)
            await self.send(body)

    async def chunk(self, body: bytes) -> None:
        """Send body bytes as one HTTP chunk; nothing for no bytes, since that would be the final chunk."""
        if body:
            self.request.record(body)
            await self.send(b"%x\r\n%b\r\n" % (len(body), body))

    async def end(self) -> None:
        """End the response in order (with the final chunk, if chunked); the connection stays where it may."""
        if self._chunked:
            await self.send(b"0\r\n\r\n")
        asked_close = "close" in self.request.headers.tokens("connection")
        self._kept = self.request.version == "HTTP/1.1" and not asked_close and not self._said_close
        self._over.set()

    async def fin(self) -> None:
        """Close the connection with FIN, whatever the framing still owes."""
        await self._wire.fin()
        self._over.set()

    async def reset(self) -> None:
        """Close the connection with RST. What was sent before has left this process."""
        await self._wire.reset()
        self._over.set()

    async def stall(self, within_s: float = STALL_S_MAX) -> None:
        """Say nothing until the peer closes; Overdue if it never does."""
        await self.closed_by_peer(within_s)

    async def wait(self, event: asyncio.Event, within_s: float = WAIT_S) -> None:
        """Wait for an event of the test; Overdue if it does not come."""
        async with within(within_s, lambda: f"the script of {self.request} waits for the test"):
            await event.wait()

    async def until_over(self) -> None:
        """Wait until the response has ended, one way or another, or the peer has left."""
        ends = [asyncio.ensure_future(end.wait()) for end in (self._over, self._wire.peer_left)]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    async def kept_alive(self) -> bool:
        """Tell whether another request may follow, after reading what is left of this one's body."""
        if self._kept:
            await self.body()
        return self._kept


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in list(HTTPStatus) else ""
