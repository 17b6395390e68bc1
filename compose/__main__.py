"""``python -m compose``: what ``make stack`` runs."""

import asyncio
import signal
import sys
from contextlib import AbstractAsyncContextManager

import click

from alerts import links
from compose.faults import FAULTS, StackFault, table
from compose.sink import AlertNotification
from compose.stack import Stack, StackPorts, stack
from compose.users import USERS_DEFAULT, USERS_MAX
from sidecar.verify.program import NotReady, ProgramMissing

HELP = "help"
DRILL_SPEED = 30.0
"""How much faster the rules run where a fault is to be seen: the alert comes within two minutes."""

SPEED = click.FloatRange(0.1, 240)

HEALTHY_S = 10.0
"""Before a fault begins: what is normal is seen first."""

RUNNING = """
The stack runs until Ctrl-C.

  admin page    {s.admin}/
  chat          {s.public}/
  Prometheus    {s.prometheus.url}/alerts
  Alertmanager  {s.alertmanager.url}/
  logs          {s.directory}

Try in another terminal:

  # The streams behind the numbers:
  sse-sidecar streams ls --admin {s.admin}

  # How streams ended, as Prometheus knows it:
  promtool query instant {s.prometheus.url} 'sum by (route, outcome) (sse_streams_finished_total) > 0'

  # What fires, as on-call sees it:
  amtool --alertmanager.url={s.alertmanager.url} alert query

{rules}Alerts appear below as Alertmanager sends them.
"""

EXPECT = """\
In {seconds:g} s: {fault.what}.
Expect {fault.alert}, and then read {runbook}
"""


@click.command()
@click.option("--fault", default="", help=f"What goes wrong, or `{HELP}`: a table of what can.")
@click.option("--speed", type=SPEED, help=f"Of the rules.  [default: 1, or {DRILL_SPEED:g} with a fault]")
@click.option("--users", default=USERS_DEFAULT, type=click.IntRange(1, USERS_MAX), help="How many.")
@click.option("--seed", default=1, help="Decides who does what.")
def main(fault: str, speed: float | None, users: int, seed: int) -> None:
    """Run the stack and print its alerts."""
    if fault == HELP:
        click.echo(table())
        return
    if fault and fault not in FAULTS:
        raise click.BadParameter(f"{fault!r} is none of {', '.join(FAULTS)}", param_hint="--fault")
    speed = speed or (DRILL_SPEED if fault else 1)
    try:
        sys.exit(asyncio.run(_run(FAULTS.get(fault), speed, users, seed)))
    except (ProgramMissing, NotReady) as error:
        raise click.ClickException(str(error)) from None


async def _run(fault: StackFault | None, speed: float, users: int, seed: int) -> int:
    """Run until a signal or the end of a part; return the exit code."""
    loop = asyncio.get_running_loop()
    end: asyncio.Future[str] = loop.create_future()

    def finish(why: str = "") -> None:
        if not end.done():
            end.set_result(why)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, finish)
    running = stack(speed, users=users, seed=seed, ports=StackPorts.usual(), told=_print, died=finish)
    showing = asyncio.create_task(_show(running, fault))
    await asyncio.wait((showing, end), return_when=asyncio.FIRST_COMPLETED)
    showing.cancel()
    (failure,) = await asyncio.gather(showing, return_exceptions=True)
    if isinstance(failure, Exception):
        raise failure
    click.echo(end.result() or "\nEverything has stopped.", err=bool(end.result()))
    return bool(end.result())


async def _show(running: AbstractAsyncContextManager[Stack], fault: StackFault | None) -> None:
    """Start everything, print the addresses, and cause the fault.

    It runs until it is cancelled.
    """
    async with running as s:
        click.echo(RUNNING.format(s=s, rules=_rules(s)))
        if fault is not None:
            click.echo(EXPECT.format(fault=fault, seconds=HEALTHY_S, runbook=links.runbook(fault.alert)))
            await asyncio.sleep(HEALTHY_S)
            await s.inject(fault.name)
        await asyncio.Event().wait()


def _rules(s: Stack) -> str:
    speed = s.slo.speed
    return "" if speed == 1 else f"The rules run {speed:g} times as fast as in production.\n"


def _print(notification: AlertNotification) -> None:
    click.echo(notification.line())


if __name__ == "__main__":
    main()
