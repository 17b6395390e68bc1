"""Draws the pictures of docs/admin.md: ``python -m tests.docs.admin_pictures``.

A crowd uses the sidecar for a minute, and the page's clock runs sixty times as fast: what the charts call an
hour is that minute; everything else is as it was.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sidecar.admin.app import create_admin
from sidecar.admin.history import SAMPLE_S, History
from sidecar.server.server import admin_listener, listening_socket
from tests.kit.admin_page import admin_page
from tests.kit.behaviours import (
    is_cut_off_and_comes_back,
    is_told_of_a_failure,
    reads_on_two_devices,
    reads_to_the_end,
)
from tests.kit.crowd import RoutingBackend, User
from tests.kit.fake_upstream import FakeUpstream
from tests.kit.running import RunningSidecar, running

FOLDER = Path(__file__).parents[2] / "docs" / "images"
SPEED = 60
USERS = 10
FAILURES_AT_S = (24, 41, 58)

ORDINARY = {reads_to_the_end: 16, is_cut_off_and_comes_back: 4, reads_on_two_devices: 2}
STREAM = {"linger_s": 30, "stall_s": 1}
ROUTES = [
    {"name": "chat", "path": "/v1/chat", **STREAM},
    {"name": "feed", "path": "/feed", "methods": ["GET"], **STREAM},
]
SEED = 7


async def visits(user: User, over: asyncio.Event) -> None:
    """Ask one question after the other until it is over; some users are busier in its middle."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not over.is_set():
        (behaviour,) = user.chance.choices([*ORDINARY], [*ORDINARY.values()])
        await behaviour(user)
        rush = 25 < loop.time() - began < 38
        await asyncio.sleep(user.chance.uniform(0, 0.3 if rush else 1.5))


async def fails(user: User) -> None:
    """Meet the failures of the minute."""
    began = asyncio.get_running_loop().time()
    for at_s in FAILURES_AT_S:
        await asyncio.sleep(at_s - (asyncio.get_running_loop().time() - began))
        await is_told_of_a_failure(user)


async def keeps_time(history: History) -> None:
    """Have a reading kept as often as in an hour of the page's time."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due += SAMPLE_S / SPEED
        await asyncio.sleep(due - loop.time())
        history.visit(0)


@asynccontextmanager
async def hurried(sc: RunningSidecar) -> AsyncIterator[int]:
    """Serve the page of a sidecar with a clock of its own; give the port."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    history = History(sc.parts.metrics, lambda: began + (loop.time() - began) * SPEED)
    parts = sc.parts
    listener = admin_listener(
        create_admin(hub=parts.hub, metrics=parts.metrics, readiness=parts.readiness, history=history)
    )
    socket = listening_socket("127.0.0.1", 0)
    await listener.open(socket)
    keeping = asyncio.create_task(keeps_time(history))
    yield int(socket.getsockname()[1])
    keeping.cancel()
    await listener.shut(0)


async def draw(port: int) -> None:
    """Take both pictures: the page on a desk by day, the last failure on a phone by night."""
    async with admin_page(port, width=1280) as admin:
        await admin.at("#rows tr").wait_for()
        await admin.page.screenshot(path=FOLDER / "admin-1280.png", full_page=True)
    async with admin_page(port, width=360) as admin:
        await admin.page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        await admin.page.select_option("#shown", "failed")
        await admin.at("#rows td.bad").wait_for()
        await admin.at("#rows a").click()
        await admin.at("#lines tr").wait_for()
        await admin.page.screenshot(path=FOLDER / "admin-360.png", full_page=True)


async def main() -> None:
    """Let the minute pass, with two answers that are still open at its end, and draw."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    crowd = RoutingBackend()
    async with FakeUpstream(crowd.route) as up, running(up.url, routes=ROUTES) as sc, hurried(sc) as port:
        users = [User(n, sc.client, crowd, random.Random(SEED + n)) for n in range(USERS)]
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for user in users[1:]:
                group.create_task(visits(user, over))
            await fails(users[0])
            await stays(users[0], port)
            over.set()


async def stays(user: User, port: int) -> None:
    """Draw while two answers are open: one whose backend is silent, one that nobody reads at the moment."""
    silent, left = user.talk(), user.talk()
    for talk in (silent, left):
        talk.blocks = [*talk.blocks[:6], asyncio.Event()]
    async with user.open(silent):
        async with user.open(left):
            await asyncio.sleep(1.5)
        await asyncio.sleep(4)
        await draw(port)


if __name__ == "__main__":
    asyncio.run(main())
