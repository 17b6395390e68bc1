"""Which kind of path there is here, and the path itself.

async with path_to("http://127.0.0.1:8080", "auto", seed=1) as path:
    await path.set(Weather(rate_bytes=50_000, delay_s=0.2))
    await path.run(lambda: people(path.url("http://127.0.0.1:8080/api/chat")))
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

from sidecar.faultnet.path import Path, PathKind
from sidecar.faultnet.real_path import RealPath, real_path
from sidecar.faultnet.target import ListenAddress, PathError, wants_tls
from sidecar.faultnet.tls_relay import tls_relay
from sidecar.faultnet.userspace_path import PIECES, UserspacePath, userspace_path


@asynccontextmanager
async def path_to(url: str, kind: PathKind | Literal["auto"], seed: int) -> AsyncIterator[Path]:
    """Make a path to the server of ``url``, a real one where possible.

    Raises PathError if the kind that is asked for cannot be had.
    """
    async with AsyncExitStack() as stack:
        through = (
            await stack.enter_async_context(tls_relay(ListenAddress.of(url))) if wants_tls(url) else None
        )
        path = await _path(url, kind, seed, through, stack)
        if through is not None:
            path.pieces = {**path.pieces, "TLS": "begins behind the path; people speak in the clear to it"}
        yield path


async def _path(
    url: str,
    kind: PathKind | Literal["auto"],
    seed: int,
    through: ListenAddress | None,
    stack: AsyncExitStack,
) -> RealPath | UserspacePath:
    pieces: Mapping[str, str] = PIECES
    if kind != "userspace":
        try:
            return await stack.enter_async_context(real_path(url, seed, through))
        except PathError as error:
            if kind == "real":
                raise
            pieces = {**PIECES, "why not real": str(error)}
    return await stack.enter_async_context(userspace_path(url, seed, pieces, through))
