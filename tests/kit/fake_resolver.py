"""An event loop that resolves names from a table and counts connects."""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Resolver: TypeAlias = Callable[[], Awaitable[str]]
"""Returns the address of its name; raises ``socket.gaierror``, or takes its time."""


class ResolverLoop(asyncio.SelectorEventLoop):
    """Resolve a name from ``names``, or by the system if it is not there."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, Resolver] = {}
        self.lookups = 0
        self.lookups_at_once_max = 0
        self.tried: Counter[int] = Counter()
        """Connections that were tried, by port."""
        self._at_once = 0

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        """See asyncio."""
        resolver = self.names.get(host)
        if resolver is None:
            return await super().getaddrinfo(host, port, **options)
        self.lookups += 1
        self._at_once += 1
        self.lookups_at_once_max = max(self.lookups_at_once_max, self._at_once)
        try:
            address = await resolver()
        finally:
            self._at_once -= 1
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))]

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """See asyncio."""
        self.tried[address[1]] += 1
        await super().sock_connect(sock, address)


def run_with_resolver(test: Callable[[ResolverLoop], Coroutine[Any, Any, T]], within_s: float = 60) -> T:
    """Run a test on such a loop; TimeoutError after ``within_s``."""

    async def bounded(loop: ResolverLoop) -> T:
        async with asyncio.timeout(within_s):
            return await test(loop)

    loop = ResolverLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(bounded(loop))
