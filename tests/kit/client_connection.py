"""The client's end of one TCP connection, byte by byte: nothing is read before someone asks for it."""

import asyncio
import contextlib
import socket
from collections.abc import Coroutine
from typing import Any, Literal, Self, TypeAlias

from tests.kit.deadline import WAIT_S, within
from tests.kit.reset import reset_on_close

ClosedWith: TypeAlias = Literal["", "fin", "reset"]

READ_BYTES = 64 * 1024
DRAIN_READS_MAX = 1024
"""Reads of ``leave``: a server that sends faster than that gets its RST."""


class RawConnection:
    """A connected socket.

    ``closed_with`` says how the server closed, empty while that has not been read; ``send_error`` why it did
    not take the last bytes. One reader at a time; ``cut``, ``leave`` and ``close`` may come from another task
    and end its wait.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.closed_with: ClosedWith = ""
        self.send_error: BaseException | None = None
        self.is_open = True
        self._socket = connected
        self._pushed_back = b""
        self._reading: asyncio.Task[bytes] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    @classmethod
    async def connect(cls, host: str, port: int, *, rcvbuf_bytes: int = 0) -> Self:
        """Connect; ``rcvbuf_bytes`` sets the kernel's receive buffer, for a reader that takes little."""
        new = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if rcvbuf_bytes:
            new.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf_bytes)
        new.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.ExitStack() as failed:
            failed.callback(new.close)
            async with within(WAIT_S, lambda: f"no connection to {host}:{port}"):
                await asyncio.get_running_loop().sock_connect(new, (host, port))
            failed.pop_all()
        return cls(new)

    async def send(self, data: bytes, within_s: float = WAIT_S) -> None:
        """Send literal bytes. ConnectionError if the server has closed."""
        async with within(within_s, lambda: f"the server does not take {len(data)} bytes"):
            await self.start_sending(data)

    def start_sending(self, data: bytes) -> asyncio.Task[None]:
        """Send in the background, for a request that may be answered before it is all there."""
        return self._keep(asyncio.get_running_loop().sock_sendall(self._socket, data))

    def _keep(self, sending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(sending)
        self._sending.add(task)
        task.add_done_callback(self._sent)
        return task

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled():
            self.send_error = task.exception()

    async def read(self) -> bytes:
        """Wait for bytes; empty when the server has closed (``closed_with``) or this end has.

        A wait that is given up loses nothing: what it would have returned comes with the next one.
        """
        if self._pushed_back:
            data, self._pushed_back = self._pushed_back, b""
            return data
        if self.closed_with or not self.is_open:
            return b""
        if self._reading is None:
            receiving = asyncio.get_running_loop().sock_recv(self._socket, READ_BYTES)
            self._reading = asyncio.ensure_future(receiving)
        await asyncio.wait({self._reading})
        return self._read_result()

    def _read_result(self) -> bytes:
        reading, self._reading = self._reading, None
        if reading is None or reading.cancelled():
            return b""
        try:
            data = reading.result()
        except ConnectionError:
            self.closed_with = "reset"
            return b""
        self.closed_with = "" if data else "fin"
        return data

    def push_back(self, data: bytes) -> None:
        """Give back bytes that belong to what comes next."""
        self._pushed_back = data + self._pushed_back

    async def read_to_close(self, within_s: float = WAIT_S) -> bytes:
        """Read the wire's bytes until the server closes. Overdue if it does not."""
        wire = bytearray()
        async with within(within_s, lambda: f"the server does not close; so far {bytes(wire[-200:])!r}"):
            while data := await self.read():
                wire += data
        return bytes(wire)

    async def silent_for(self, seconds: float) -> bool:
        """Tell whether the server neither sends nor closes for so long."""
        try:
            async with asyncio.timeout(seconds):
                self.push_back(await self.read())
        except TimeoutError:
            return True
        return False

    async def cut(self) -> None:
        """Close with RST."""
        if self.is_open:
            reset_on_close(self._socket)
        await self.close()

    async def leave(self) -> None:
        """Close with FIN, also when there is something unread."""
        await self._give_up()
        with contextlib.suppress(OSError):  # the server may have reset the connection, or we left before
            self._socket.shutdown(socket.SHUT_WR)
            for _ in range(DRAIN_READS_MAX):  # close() with unread input would send RST
                if not self._socket.recv(READ_BYTES):
                    break
        await self.close()

    async def hang_up(self, within_s: float = WAIT_S) -> None:
        """Say with FIN that nothing more will come, take what is still on its way, and close.

        Unlike after ``leave``, a server that goes on writing gets no RST.
        """
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        await self.read_to_close(within_s)
        await self.close()

    async def close(self) -> None:
        """Close as the kernel likes."""
        await self._give_up()
        self._socket.close()

    async def _give_up(self) -> None:
        # The loop lets go of a descriptor when the wait for it is cancelled, not when it is closed.
        self.is_open = False
        reading = [self._reading] if self._reading else []
        tasks: list[asyncio.Task[Any]] = [*reading, *self._sending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
