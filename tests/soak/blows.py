"""Cause each fault of a schedule."""

import asyncio
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress

from sidecar.faultnet.network import FaultyNetwork
from sidecar.faultnet.toxics import Bandwidth, Down, Latency, Slicer, Timeout, Toxic
from tests.kit.client import SSEClient
from tests.kit.deadline import Overdue
from tests.soak.backend import SoakBackend
from tests.soak.process import SidecarProcess
from tests.soak.schedule import Kind, ScheduledFault, SidecarName
from tests.soak.stand import Stand

SLOW_HEADS = 40
SILENT_READERS = 20
SMALL_BUFFER_BYTES = 4096
SCAN_S = 30.0
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(64)
SCANS = (TLS_HELLO, b"\x00" * 40, b"HELP\r\n\r\n", b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm\r\n\r\n")

TOXICS: Mapping[Kind, tuple[Toxic, ...]] = {
    "down": (Down(),),
    "black hole": (Timeout(direction="both"),),
    "stalled path": (Timeout(direction="down"),),
    "slow path": (Bandwidth(direction="both", rate_bytes=3000),),
    "latency": (Latency(direction="both", latency_s=0.2, jitter_s=0.1),),
    "slices": (Slicer(direction="both", average_bytes=7, variation_bytes=6),),
}


async def strike(stand: Stand, fault: ScheduledFault) -> None:
    """Let it happen, and wait until it is over."""
    stand.trouble_begins()
    try:
        if fault.target == "backend":
            await _on_backend(stand.backend, fault)
        elif "/" in fault.target:
            name, _, cell = fault.target.partition("/")
            await _on_path(stand.networks[_name(name)][int(cell)], fault)
        else:
            await _on_sidecar(stand, fault)
    finally:
        stand.trouble_ends()


def _name(text: str) -> SidecarName:
    return "steady" if text == "steady" else "mortal"


async def _on_path(network: FaultyNetwork, fault: ScheduledFault) -> None:
    if fault.kind == "cut":
        network.cut()
        return
    toxics = TOXICS[fault.kind]
    network.add(*toxics)
    try:
        await asyncio.sleep(fault.for_s)
    finally:
        for toxic in toxics:
            network.remove(toxic)


async def _on_backend(backend: SoakBackend, fault: ScheduledFault) -> None:
    match fault.kind:
        case "reset" | "fin":
            await backend.break_all(fault.kind)
        case "refuse" | "restart the backend":
            backend.up.refuse()
            if fault.kind == "restart the backend":
                await backend.break_all("reset")
            await asyncio.sleep(fault.for_s)
            await _accept(backend)
        case "hang":
            await _held(backend.answers, fault.for_s)
        case "stall":
            await _held(backend.speaks, fault.for_s)
        case "answer 503":
            backend.unavailable = True
            await asyncio.sleep(fault.for_s)
            backend.unavailable = False
        case "reset before the head":
            backend.resets_heads = True
            await asyncio.sleep(fault.for_s)
            backend.resets_heads = False
        case _:
            backend.truncates = True
            await asyncio.sleep(fault.for_s)
            backend.truncates = False


async def _accept(backend: SoakBackend) -> None:
    """Listen again, unless another fault has seen to that."""
    async with backend.accepting:
        if backend.up._server is None:
            await backend.up.accept()


async def _held(gate: asyncio.Event, for_s: float) -> None:
    gate.clear()
    await asyncio.sleep(for_s)
    gate.set()


async def _on_sidecar(stand: Stand, fault: ScheduledFault) -> None:
    name = _name(fault.target)
    sidecar = stand.sidecars[name]
    match fault.kind:
        case "storm":
            for network in stand.networks[name]:
                network.cut()
        case "freeze":
            await sidecar.freeze(fault.for_s)
        case "port scan":
            await asyncio.gather(*(_scan(sidecar, hello) for hello in SCANS))
        case "slow heads":
            await _slow_heads(sidecar, fault.for_s)
        case "silent readers":
            await _silent_readers(sidecar, fault.for_s)
        case _:
            await _end(stand, sidecar, fault)


async def _end(stand: Stand, sidecar: SidecarProcess, fault: ScheduledFault) -> None:
    number = signal.SIGTERM if fault.kind.startswith("terminate") else signal.SIGKILL
    secret = sidecar.life.secret + (fault.kind == "kill, with another secret")
    times = 2 if fault.kind == "terminate twice" else 1

    def died() -> None:
        """What its connections held goes with them: nothing of this life arrives in the next."""
        for network in stand.networks[_name(sidecar.name)]:
            network.cut()

    await sidecar.again(number, died, times=times, pause_s=fault.for_s, secret=secret)


async def _scan(sidecar: SidecarProcess, hello: bytes) -> None:
    """Send what is no HTTP; it has to be closed, or refused."""
    with suppress(OSError, Overdue):
        async with sidecar.client.connect() as connection:
            await connection.send(hello)
            await connection.read_to_close(SCAN_S)


async def _slow_heads(sidecar: SidecarProcess, for_s: float) -> None:
    async with AsyncExitStack() as held:
        with suppress(OSError, Overdue):
            for _ in range(SLOW_HEADS):
                connection = await held.enter_async_context(sidecar.client.connect())
                connection.start_sending(b"POST /v1/chat HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        await asyncio.sleep(for_s)


async def _silent_readers(sidecar: SidecarProcess, for_s: float) -> None:
    """Ask for what is no stream and take nothing of it."""
    client = SSEClient("127.0.0.1", sidecar.port, rcvbuf_bytes=SMALL_BUFFER_BYTES)
    body = bytes(100_000)
    async with AsyncExitStack() as held:
        with suppress(OSError, Overdue):
            for _ in range(SILENT_READERS):
                connection = await held.enter_async_context(client.connect())
                connection.start_sending(client.request_bytes("POST", "/v1/echo", [], body))
        await asyncio.sleep(for_s)
