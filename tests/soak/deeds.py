"""The visits of a client: what it does with a request and its answer."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from tests.kit.client import BodyEnded, SSEClient
from tests.kit.deadline import Overdue
from tests.kit.head import FieldLines
from tests.kit.response import Response
from tests.soak.answers import NOT_NOW
from tests.soak.process import LINGER_S
from tests.soak.product import ProductPerson
from tests.soak.reader import PAUSE_S, SoakReader, target_of
from tests.soak.schedule import Deed, ScheduledVisit
from tests.soak.stand import Stand

PATIENCE_S = 240.0
"""The longest that anybody waits for the end of an answer that takes seconds."""

CANCEL_S = 20.0
"""Within which a stopped generation is over; one second is promised, a frozen process has more."""

CUTS_MAX = 4
CUT_BYTES_MAX = 700
CROWD = 25
SMALL_BUFFER_BYTES = 4096
TRIES_MAX = 30
"""Of a cancel."""

LATE_S = (1.0, LINGER_S * 2.5)


def principal_of(visit: ScheduledVisit) -> str:
    """Return who asks."""
    return f"Bearer person {visit.person}"


def _reader(stand: Stand, visit: ScheduledVisit, device: str = "", **more: object) -> SoakReader:
    name = f"{device or 'a reader'} of question {visit.number}"
    chance = random.Random(f"{visit.seed}/{device}")
    reader = SoakReader(stand, visit, name, chance, principal_of(visit))
    for option, value in more.items():
        setattr(reader, option, value)
    return reader


async def visits(stand: Stand, visit: ScheduledVisit) -> None:
    """Do one visit within the bounds of patience; whoever is still not told then was not told in time."""
    stand.testimony.counts["streams asked for" if visit.deed != "asks what is no stream" else "other"] += 1
    try:
        async with asyncio.timeout(PATIENCE_S):
            if visit.client == "product":
                await ProductPerson(stand, visit, principal_of(visit)).live()
            else:
                await DEEDS[visit.deed](stand, visit)
    except TimeoutError:
        sentence = f"Question {visit.number} ({visit.deed}) has no end that was told within {PATIENCE_S:g} s."
        stand.testimony.blame("untold", sentence)


async def reads(stand: Stand, visit: ScheduledVisit) -> None:
    reader = _reader(stand, visit)
    await reader.see_through()
    await _asks_once_more(reader)


async def is_cut_off(stand: Stand, visit: ScheduledVisit) -> None:
    reader = _reader(stand, visit)
    times = reader.chance.randint(1, CUTS_MAX)
    reader.cuts = [reader.chance.randint(0, CUT_BYTES_MAX) for _ in range(times)]
    await reader.see_through()
    await _asks_once_more(reader)


async def _asks_once_more(reader: SoakReader) -> None:
    """Whoever has a failed answer to its end and asks for the rest learns that there is none."""
    if reader.ending == "terminal" and reader.chance.random() < 0.5:
        reader.over = False
        await reader.see_through()


async def leaves(stand: Stand, visit: ScheduledVisit) -> None:
    reader = _reader(stand, visit)
    reader.cuts = [reader.chance.randint(0, CUT_BYTES_MAX)]
    await _first_connection(reader)
    reader.leave()


async def comes_back_late(stand: Stand, visit: ScheduledVisit) -> None:
    reader = _reader(stand, visit)
    reader.cuts = [reader.chance.randint(0, CUT_BYTES_MAX)]
    await _first_connection(reader)
    await asyncio.sleep(reader.chance.uniform(*LATE_S))
    await reader.see_through()


async def _first_connection(reader: SoakReader) -> None:
    while not reader.stream and not reader.over:
        await reader.connection()


async def cancels(stand: Stand, visit: ScheduledVisit) -> None:
    reader = _reader(stand, visit)
    reading = asyncio.create_task(reader.see_through())
    try:
        await _until_it_has_a_stream(reader, reading)
        await asyncio.sleep(reader.chance.uniform(0, 3))
        stand.testimony.cancelled.add(visit.number)
        await _cancel(reader)
        await reading
    finally:
        reading.cancel()


async def _until_it_has_a_stream(reader: SoakReader, reading: asyncio.Task[None]) -> None:
    while not reader.stream and not reading.done():  # noqa: ASYNC110 - a reader has no events
        await asyncio.sleep(PAUSE_S / 4)


async def _cancel(reader: SoakReader) -> None:
    """Stop the generation, until the sidecar says that it is stopped or that it knows nothing of it."""
    stand, visit = reader.stand, reader.visit
    method, suffix = reader.chance.choice((("DELETE", ""), ("POST", "/cancel")))
    fields = [("Authorization", reader.principal)]
    for _ in range(TRIES_MAX):
        if not reader.stream:
            return
        target, generation = f"/_sse/streams/{reader.stream}{suffix}", reader.generation
        response = await _fetched(stand, visit, method, target, fields=fields)
        if response is None or response.status in NOT_NOW:
            await asyncio.sleep(PAUSE_S)
            continue
        if response.status == 204:
            await _is_over(stand, generation)
        elif response.status not in {404, 410}:
            stand.testimony.blame("cancel", f"{reader.name} cancelled and got {response!r}.")
        return


async def _is_over(stand: Stand, name: str) -> None:
    for generation in [one for one in stand.backend.generations if one.name == name]:
        stand.testimony.counts["cancelled"] += 1
        try:
            async with asyncio.timeout(CANCEL_S):
                while not generation.over and generation.request.wire.peer_left_at is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            sentence = f"{name} goes on {CANCEL_S:g} s after it was cancelled."
            stand.testimony.blame("cancel", sentence, timed=True)


async def asks_twice(stand: Stand, visit: ScheduledVisit) -> None:
    key = f"question-{visit.number}-{visit.seed}"
    devices = [_reader(stand, visit, device, key=key) for device in ("one try", "another try")]
    devices[0].cuts = [devices[0].chance.randint(0, CUT_BYTES_MAX)]
    await asyncio.gather(*(device.see_through() for device in devices))


async def two_devices(stand: Stand, visit: ScheduledVisit) -> None:
    await _together(stand, visit, 1)


async def many_readers(stand: Stand, visit: ScheduledVisit) -> None:
    await _together(stand, visit, CROWD)


async def _together(stand: Stand, visit: ScheduledVisit, others: int) -> None:
    first = _reader(stand, visit)
    reading = asyncio.create_task(first.see_through())
    try:
        await _until_it_has_a_stream(first, reading)
        joining = [
            _reader(
                stand,
                visit,
                f"device {number}",
                stream=first.stream,
                generation=first.generation,
                life=first.life,
            )
            for number in range(others if first.stream else 0)
        ]
        await asyncio.gather(*(reader.see_through() for reader in joining))
        await reading
    finally:
        reading.cancel()


async def reads_slowly(stand: Stand, visit: ScheduledVisit) -> None:
    await _reader(stand, visit, rcvbuf_bytes=SMALL_BUFFER_BYTES).see_through()


async def steals(stand: Stand, visit: ScheduledVisit) -> None:
    """Somebody else has the name of a stream, and must not get it."""
    reader = _reader(stand, visit)
    reading = asyncio.create_task(reader.see_through())
    try:
        await _until_it_has_a_stream(reader, reading)
        fields = [("Authorization", "Bearer a thief"), ("Last-Event-ID", f"{reader.stream}.1")]
        target = reader.chance.choice((f"/_sse/streams/{reader.stream}", target_of(visit)))
        response = await _fetched(stand, visit, "GET", target, fields=fields) if reader.stream else None
        if response is not None and response.status not in {404, 503}:
            is_shed = response.status == 200 and not response.header("SSE-Stream")
            if not is_shed:
                stand.testimony.blame("principal", f"A thief got {response!r} of {reader.name}.")
        await reading
    finally:
        reading.cancel()


async def asks_what_is_no_stream(stand: Stand, visit: ScheduledVisit) -> None:
    body = random.Random(visit.seed).randbytes(visit.seed % 50_000)
    while True:
        response = await _fetched(stand, visit, "POST", f"/v1/echo?visit={visit.number}", body=body)
        if response is not None and response.status == 200:
            if response.ended == "clean" and response.raw == body:
                return
            if response.ended == "clean":
                stand.testimony.blame("bytes", f"Question {visit.number} got {response!r} for its own bytes.")
        elif response is not None and response.status not in NOT_NOW:
            stand.testimony.blame("answer", f"Question {visit.number} got {response!r}.")
        await asyncio.sleep(PAUSE_S)


async def _fetched(
    stand: Stand,
    visit: ScheduledVisit,
    method: str,
    target: str,
    *,
    fields: FieldLines = (),
    body: bytes = b"",
) -> Response | None:
    client = SSEClient("127.0.0.1", stand.port_for(visit))
    try:
        return await client.fetch(method, target, fields, body)
    except (OSError, BodyEnded, Overdue):
        return None


DEEDS: Mapping[Deed, Callable[[Stand, ScheduledVisit], Awaitable[None]]] = {
    "reads": reads,
    "is cut off": is_cut_off,
    "leaves": leaves,
    "comes back late": comes_back_late,
    "cancels": cancels,
    "asks twice": asks_twice,
    "two devices": two_devices,
    "many readers": many_readers,
    "reads slowly": reads_slowly,
    "steals": steals,
    "asks what is no stream": asks_what_is_no_stream,
}
