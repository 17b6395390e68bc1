"""The namespace between clients and server, which makes the faults.

Its devices are ``host`` (towards the server), ``people`` (towards the clients) and ``line``. Packets to delay
are routed into ``line``: the process ``sidecar.faultnet.delay_line`` at its other end sends them back later.
The devices towards both ends limit the rate and drop packets, once for each packet.
"""

import asyncio
import fcntl
import json
import os
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from dataclasses import replace
from math import isinf

from sidecar.faultnet.namespace import Namespace, sysctl
from sidecar.faultnet.path import FINE, Weather
from sidecar.faultnet.target import PathError

ENDS = ("host", "people")
TABLE = 100
"""The routing table of what comes from the ends; empty, unless there is a delay."""

ANSWER_S = 20.0
"""The longest that the delay line may take to start and to answer."""

BURST_BYTES = 6_000
BURST_S = 0.01
QUEUE_S = 0.4
"""What waits longer for its turn on a slow device is dropped."""

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000


class Router:
    """A router that forwards between its two connected ends."""

    def __init__(self, seed: int) -> None:
        """Make the namespace; raises PathError where that is not allowed."""
        self.namespace = Namespace()
        self._seed = seed
        self._weather = FINE
        self._dark: tuple[str, ...] = ()
        self._tun = -1
        self._line: Process | None = None

    async def open(self) -> None:
        """Let it forward; raises PathError if the kernel lacks something."""
        inside = self.namespace
        try:
            await inside.call(_forward)
            self._tun = await inside.call(_open_tun)
        except OSError as error:
            raise PathError(f"no router: {error}") from error
        await inside.command("ip link set line up")
        for end in ENDS:
            await inside.command(f"ip rule add iif {end} lookup {TABLE}")
        self._line = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sidecar.faultnet.delay_line", str(self._tun), str(self._seed)),
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=[self._tun],
            start_new_session=True,  # Ctrl-C is for people
        )
        await self._tell(FINE)

    async def close(self) -> None:
        """End the delay line and leave the namespace."""
        if self._line is not None and self._line.stdin is not None:
            self._line.stdin.close()
            try:
                await asyncio.wait_for(self._line.wait(), ANSWER_S)
            except TimeoutError:
                self._line.kill()
                await self._line.wait()
        if self._tun >= 0:
            os.close(self._tun)
        self.namespace.close()

    async def set(self, weather: Weather) -> None:
        """Change the impairments; raise PathError if the kernel refuses."""
        before, self._weather = self._weather, weather
        await self._filter()
        if weather.rate_bytes != before.rate_bytes:
            await self._set_rate(weather.rate_bytes)
        if replace(weather, rate_bytes=0, loss=0, silent=False) != replace(
            before, rate_bytes=0, loss=0, silent=False
        ):
            await self._set_line(weather)

    async def darken(self, addresses: tuple[str, ...]) -> None:
        """Block exactly these addresses."""
        self._dark = addresses
        await self._filter()

    async def _filter(self) -> None:
        """Replace all rules at once."""
        rules = "\n".join(["*filter", ":FORWARD ACCEPT", *_rules(self._weather, self._dark), "COMMIT", ""])
        await self.namespace.command("iptables-restore -w 5", rules)

    async def _set_rate(self, rate_bytes: float) -> None:
        for end in ENDS:
            if isinf(rate_bytes):
                await self.namespace.command(f"tc qdisc del dev {end} root")
                continue
            burst_bytes = max(BURST_BYTES, int(rate_bytes * BURST_S))
            shape = f"rate {int(rate_bytes * 8)}bit burst {burst_bytes} latency {int(QUEUE_S * 1000)}ms"
            await self.namespace.command(f"tc qdisc replace dev {end} root tbf {shape}")

    async def _set_line(self, weather: Weather) -> None:
        wanted = weather.delay_s or weather.duplicate or weather.reorder
        if wanted:
            await self.namespace.command(f"ip route replace default dev line table {TABLE}")
        await self._tell(weather)
        if not wanted:
            await self.namespace.command(f"ip route flush table {TABLE}")

    async def _tell(self, weather: Weather) -> None:
        """Tell the delay line how to be, and wait until it is."""
        line = {"delay_s": weather.delay_s, "duplicate": weather.duplicate, "reorder": weather.reorder}
        if self._line is None or self._line.stdin is None or self._line.stdout is None:
            raise PathError("the router is not open")
        try:
            self._line.stdin.write(f"{json.dumps(line)}\n".encode())
            answer = await asyncio.wait_for(self._line.stdout.readline(), ANSWER_S)
        except (OSError, TimeoutError) as error:
            raise PathError(f"the delay line does not answer: {error!r}") from error
        if answer != b"ok\n":
            raise PathError(f"the delay line has ended with {await self._line.wait()}")


def _rules(weather: Weather, dark: tuple[str, ...]) -> Iterator[str]:
    for address in dark:
        yield f"-A FORWARD -s {address} -j DROP"
        yield f"-A FORWARD -d {address} -j DROP"
    if weather.silent:
        yield "-A FORWARD -j DROP"
    if weather.loss:
        for end in ENDS:
            yield f"-A FORWARD -o {end} -m statistic --mode random --probability {weather.loss:.6f} -j DROP"


def _forward() -> None:
    sysctl("ipv4/ip_forward", "1")
    for which in ("all", "default"):
        sysctl(f"ipv4/conf/{which}/rp_filter", "0")  # what comes out of the line comes from elsewhere


def _open_tun() -> int:
    """Return a descriptor of the TUN device ``line``; raise OSError.

    Source: Documentation/networking/tuntap.rst of Linux.
    """
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH14x", b"line", IFF_TUN | IFF_NO_PI))
    except OSError:
        os.close(tun)
        raise
    return tun
