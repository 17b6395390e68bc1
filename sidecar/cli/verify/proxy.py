"""``sse-sidecar verify proxy``: a network with chosen faults."""

import asyncio
import signal
from collections.abc import Sequence

import click

from sidecar.faultnet.control import Control
from sidecar.faultnet.network import FaultyNetwork
from sidecar.faultnet.target import ListenAddress, PathError
from sidecar.faultnet.toxic_words import TYPES, toxic_of_text
from sidecar.faultnet.toxics import Toxic
from sidecar.server.server import admin_listener, listening_socket

SEED_MAX = 2**31 - 1
CONNECTIONS_MAX = 4096
HOST = "127.0.0.1"


class _Address(click.ParamType[tuple[str, int]]):
    """``host:port``, or a URL with them; port 0 takes a free one."""

    name = "host:port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        text = str(value)
        try:
            return ListenAddress.of(text if "://" in text else f"http://{text}")
        except PathError as error:
            self.fail(str(error), param, ctx)


class _Words(click.ParamType[Toxic]):
    """See toxic_words."""

    name = "type:name=value,..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Toxic:
        try:
            return toxic_of_text(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--to", type=_Address(), required=True, help="The server: HOST:PORT or its URL.")
@click.option(
    "--listen",
    type=_Address(),
    default=f"{HOST}:0",
    help=f"Where clients connect.  [default: {HOST}, a free port]",
)
@click.option(
    "--control",
    type=_Address(),
    default=f"{HOST}:0",
    help=f"Where the switches are.  [default: {HOST}, a free port]",
)
@click.option(
    "--toxic",
    "toxics",
    type=_Words(),
    multiple=True,
    help=f"In force from the start; can be repeated: {', '.join(TYPES)}.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, SEED_MAX),
    default=0,
    show_default=True,
    help="Decides whom a toxicity below 1 hits, all jitter and all loss.",
)
def proxy(
    *,
    to: tuple[str, int],
    listen: tuple[str, int],
    control: tuple[str, int],
    toxics: Sequence[Toxic],
    seed: int,
) -> None:
    """Carry TCP connections to a server, with the faults of toxics.

    Without a toxic it carries them unchanged.

    Toxics are Toxiproxy's, with units in their names, and loss:

    \b
      latency:latency_s=0.2,jitter_s=0.05     bytes arrive later
      bandwidth:rate_bytes=50000              bytes per second; shared=true: of all connections together
      slow_close:delay_s=2                    the end of the stream arrives later
      timeout:timeout_s=10                    nothing passes, then it closes; 0: never
      reset_peer:timeout_s=1                  RST
      slicer:average_bytes=10,delay_s=0.01    small pieces
      limit_data:limit_bytes=1000             closed after so many bytes
      down                                    connections are refused
      loss:share=0.1                          a share arrives late, as after retransmission

    Each takes direction=up|down|both and toxicity=0..1, the share of affected connections. HTTP requests
    change them while it runs: GET / shows them, POST and DELETE /toxics change them. POST /cut, /hand_off
    and /drop_bytes?n=N act once. It ends with Ctrl-C.
    """  # noqa: D301 - click reads the character
    try:
        asyncio.run(_run(to, listen, control, toxics, seed))
    except OSError as error:
        place = error.filename or f"{listen[0]}:{listen[1]}"
        raise click.ClickException(f"cannot listen at {place}: {error.strerror or error}") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None


async def _run(
    to: tuple[str, int],
    listen: tuple[str, int],
    control: tuple[str, int],
    toxics: Sequence[Toxic],
    seed: int,
) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    own_host, own_port = listen
    async with FaultyNetwork(
        *to, seed=seed, own_host=own_host, port_of_its_own=own_port, connections_max=CONNECTIONS_MAX
    ) as network:
        switches = Control(network)
        for toxic in toxics:
            switches.add(toxic)
        listener = admin_listener(switches.app())
        socket = listening_socket(*control)
        await listener.open(socket)
        try:
            host, port = socket.getsockname()[:2]
            click.echo(f"{own_host}:{network.port} -> {to[0]}:{to[1]}, switches at http://{host}:{port}/")
            await ended.wait()
        finally:
            await listener.shut(0)
