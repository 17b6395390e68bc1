"""A path over a real network: namespaces and a router with faults.

    people (198.19.N.x) --veth-- router --veth-- this machine (198.18.N.1)

None of the namespaces has a name, so nothing is left of them when this process is gone, however it went; with
them go both ends of both veth pairs. The one thing that is seen outside, besides the device ``sse-path-N``
and its address, is a route to people.
"""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, Literal, TypeVar

from sidecar.faultnet.namespace import Namespace, command, sysctl
from sidecar.faultnet.network import FaultyNetwork
from sidecar.faultnet.path import FINE, Weather
from sidecar.faultnet.router import Router
from sidecar.faultnet.target import ListenAddress, PathError

Outcome = TypeVar("Outcome")

PATHS_MAX = 256
"""On one machine at the same time."""

FIRST_HOST, LAST_HOST = 2, 254
DARK_MAX = 200
"""Of the addresses that people had, so many stay dark; then the oldest is used again some day."""

CONNECT_S = 5.0
CONNECTIONS_MAX = 4096
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
NEEDED = {"ip": "iproute2", "tc": "iproute2", "ss": "iproute2", "iptables-restore": "iptables"}
TRIED = Weather(rate_bytes=1e6, delay_s=0.001, loss=0.001)
"""What is asked of the kernel once, before anybody relies on it."""

PIECES: Final = {
    "bandwidth": "tc tbf in a router namespace, each way (real)",
    "delay": "packets wait in a TUN device's line, so TCP sees the round trip (real)",
    "loss": "iptables statistic in a router namespace, each way (real)",
    "silence": "iptables DROP in a router namespace (real)",
    "cut": "the kernel aborts people's sockets, RST to the server (ss --kill, real)",
    "hand-off": "people's address changes, the router drops the old one (real)",
}


class RealPath:
    """See path.Path; people run in a thread and a loop of their own."""

    kind: Literal["real"] = "real"

    def __init__(self, number: int, target: ListenAddress, router: Router, people: Namespace) -> None:
        self.pieces: Mapping[str, str] = PIECES
        self.router = router
        self.people = people
        self.host = f"198.18.{number}.1"
        self.port = target.port
        self._number = number
        self._target = target
        self._weather = FINE
        self._at = FIRST_HOST
        self._dark: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Where people are now."""
        return self._address(self._at)

    def _address(self, at: int) -> str:
        return f"198.19.{self._number}.{at}"

    def url(self, url: str) -> str:
        """See path.Path; raises PathError for another server."""
        return self._target.elsewhere(url, self.host, self.port)

    async def set(self, weather: Weather) -> None:
        """See path.Path; raises PathError if the kernel will not have it."""
        await self.router.set(weather)

    async def cut(self) -> None:
        """See path.Path; at people's end the error is ECONNABORTED."""
        await self.people.command(f"ss --kill --tcp --no-header src {self.address}")

    async def hand_off(self) -> None:
        """See path.Path."""
        old, self._at = self.address, next_host(self._at)
        self._dark = (*(each for each in self._dark if each != self.address), old)[-DARK_MAX:]
        await self.router.darken(self._dark)
        await self.people.command(f"ip address add {self.address}/24 dev net")
        await self.people.command(f"ip address del {old}/24 dev net")

    async def run(self, people: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """See path.Path."""
        return await self.people.live(people)

    async def connect(self) -> None:
        """Give all devices their addresses and routes."""
        here, there = f"198.18.{self._number}", f"198.19.{self._number}"
        router, people = self.router.namespace, self.people
        await router.command(f"ip link add people type veth peer name net netns {people.path}")
        await router.command("ip link set people up")
        await router.command("ip link set host up")
        await router.command(f"ip address add {here}.2/30 dev host")
        await router.command(f"ip address add {there}.1/24 dev people")
        await people.call(partial(sysctl, "ipv4/conf/all/promote_secondaries", "1"))
        await people.command("ip link set lo up")
        await people.command("ip link set net up gso_max_segs 1")
        await people.command(f"ip address add {self.address}/24 dev net")
        await people.command(f"ip route add default via {there}.1")
        device = device_of(self._number)
        # One packet is one packet: no bundles of 64 KiB that are lost or delayed at once.
        await _here(f"ip link set {device} up gso_max_segs 1")
        await _here(f"ip address add {here}.1/30 dev {device}")
        await _here(f"ip route add {there}.0/24 via {here}.2")

    async def is_open(self) -> bool:
        """Return whether clients reach this machine through its firewall."""
        with socket.create_server((self.host, 0)) as listener:
            return await self.people.call(partial(_connects, *listener.getsockname()[:2]))


def next_host(host: int) -> int:
    """Return the number of the address that people have after this one."""
    return host + 1 if host < LAST_HOST else FIRST_HOST


def device_of(number: int) -> str:
    """Return the name of a path's device on this machine."""
    return f"sse-path-{number}"


def why_not() -> str:
    """Return why this process cannot have a real path, or ""."""
    if sys.platform != "linux":
        return "real paths need Linux"
    if os.geteuid() != 0:
        return "real paths need root"
    missing = [
        f"{tool} (apt-get install {package})" for tool, package in NEEDED.items() if not shutil.which(tool)
    ]
    if not os.path.exists("/dev/net/tun"):  # noqa: PTH110 - a device, no file of ours
        missing.append("/dev/net/tun (modprobe tun)")
    if missing:
        return f"real paths need {', '.join(missing)}"
    try:
        Namespace().close()
    except PathError as error:
        return f"real paths need CAP_SYS_ADMIN and CAP_NET_ADMIN: {error}"
    return ""


@asynccontextmanager
async def real_path(url: str, seed: int = 0, through: ListenAddress | None = None) -> AsyncIterator[RealPath]:
    """Make a path to the server of ``url``; raise PathError.

    ``through``: what is connected to in place of the server itself.
    """
    if reason := why_not():
        raise PathError(reason)
    target = ListenAddress.of(url)
    async with AsyncExitStack() as stack:
        router, people = Router(seed), Namespace()
        stack.callback(people.close)
        stack.push_async_callback(router.close)
        number = await _take_number(router.namespace)
        stack.push_async_callback(_here, f"ip link del {device_of(number)}")
        path = RealPath(number, target, router, people)
        await path.connect()
        await router.open()
        await path.set(TRIED)
        if not await path.is_open():
            raise PathError(f"people do not reach {path.host}: does a firewall of this machine drop them?")
        await path.set(FINE)
        path.pieces = {**PIECES, "server's end": await _lead(path, through or target, stack)}
        yield path


async def _take_number(router: Namespace) -> int:
    """Make the device that connects this machine to a router.

    It takes the first free name.
    """
    for turn in range(PATHS_MAX):
        number = (os.getpid() + turn) % PATHS_MAX
        try:
            await _here(f"ip link add {device_of(number)} type veth peer name host netns {router.path}")
        except PathError as error:
            if "File exists" not in str(error):
                raise
        else:
            return number
    raise PathError(f"{PATHS_MAX} paths on this machine already")


async def _lead(path: RealPath, target: ListenAddress, stack: AsyncExitStack) -> str:
    """Lead to the server, or to a relay if it listens elsewhere.

    Return which one.
    """
    if target.host in LOOPBACK and await asyncio.to_thread(_connects, path.host, target.port):
        return "the server's own sockets"
    relay = FaultyNetwork(*target, own_host=path.host, connections_max=CONNECTIONS_MAX)
    path.port = (await stack.enter_async_context(relay)).port
    return "a plain TCP relay, since the server does not listen here"


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError:
        return False
    return True


async def _here(line: str) -> str:
    return await asyncio.to_thread(command, line)
