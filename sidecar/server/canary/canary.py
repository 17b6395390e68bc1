"""The canary: send a known stream on the users' way and compare it."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from sidecar.observability import errors, log_events
from sidecar.observability.labels import Outcome
from sidecar.observability.metrics import Metrics
from sidecar.proxy.readiness import Readiness
from sidecar.server.canary.backend import CanaryBackend
from sidecar.server.canary.known_stream import KnownStream
from sidecar.server.canary.probe import CanaryProbe
from sidecar.sse.event_id import handle
from sidecar.streams.hub import Hub

PASS_S_MAX = 20.0
"""A known stream that is not through by then has not come through."""

SEED_BITS = 32


class Canary:
    """Send a known stream every ``interval_s`` and count mismatches."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts it is composed of, each with a name
        self,
        backend: CanaryBackend,
        probe: CanaryProbe,
        hub: Hub,
        metrics: Metrics,
        readiness: Readiness,
        interval_s: float,
        pass_s_max: float = PASS_S_MAX,
        first_after_s: float = 0,
    ) -> None:
        self._backend = backend
        self._probe = probe
        self._hub = hub
        self._metrics = metrics
        self._readiness = readiness
        self._interval_s = interval_s
        self._pass_s_max = pass_s_max
        self._first_after_s = first_after_s

    async def run(self) -> None:
        """Run until cancelled; during a drain, send nothing."""
        await asyncio.sleep(self._first_after_s)
        while not self._readiness.draining:
            await self.run_once()
            await asyncio.sleep(self._interval_s)

    async def run_once(self) -> None:
        """Send one known stream through; never raises."""
        known = KnownStream(secrets.randbits(SEED_BITS))
        self._backend.play(known)
        try:
            async with asyncio.timeout(self._pass_s_max):
                await self._probe.read(known, self._backend.cut)
        except TimeoutError:
            self._failed(known, errors.CanaryIncomplete(f"not through after {self._pass_s_max:g} s"))
        except errors.UpstreamError as error:
            self._failed(known, errors.CanaryIncomplete(f"{error.code}: {error.detail}"))
        except (errors.CanaryMismatch, errors.CanaryIncomplete) as error:
            self._failed(known, error)
        except Exception as error:  # noqa: BLE001 - the top of the task: a witness that died would be a silent one
            log_events.task_failed(error, "canary")
            self._failed(known, errors.CanaryIncomplete(f"{type(error).__name__} in the probe"))
        else:
            self._metrics.canary_last_pass_timestamp_seconds.set(time.time())
            self._forget()
        finally:
            self._backend.cut()

    def _failed(self, known: KnownStream, error: errors.SidecarError) -> None:
        """Count a mismatch, unless the sidecar drains; keep its stream."""
        if self._readiness.draining:
            return
        self._metrics.canary_mismatches.inc()
        log_events.canary_failed(error, known.seed, handle(self._probe.stream))
        for before in list(self._hub.canaries.values())[:-1]:
            before.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
            before.expire()

    def _forget(self) -> None:
        stream = self._hub.find(self._probe.stream)
        if stream is not None:
            stream.expire()

    def silence(self) -> None:
        """End what streams of the canary are left, so that nothing waits for them."""
        for stream in list(self._hub.canaries.values()):
            stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)


@asynccontextmanager
async def running(canary: Canary) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Run the canary for the length of a block; the value stops it before."""
    task = asyncio.get_running_loop().create_task(canary.run())

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        canary.silence()

    try:
        yield stop
    finally:
        await stop()
