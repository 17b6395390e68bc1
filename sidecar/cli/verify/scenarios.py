"""``sse-sidecar verify``: six scenarios against any event stream."""

import asyncio
import random
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path

import click

from sidecar.cli.tail import header_field
from sidecar.cli.verify.load import load
from sidecar.cli.verify.proxy import proxy
from sidecar.cli.verify.report import report
from sidecar.client.options import check_url
from sidecar.faultnet.target import ListenAddress, PathError
from sidecar.verify.output import write
from sidecar.verify.own import NotStarted
from sidecar.verify.person import UserRequest
from sidecar.verify.results import Results
from sidecar.verify.run import RunPlan, run
from sidecar.verify.scenarios import SCENARIOS
from sidecar.verify.subject import ANSWER_S, DIRECT, SIDECAR

EXIT_FAILED = 1
EXIT_CANNOT_RUN = 2
USERS_MAX = 200
SEED_MAX = 2**31 - 1
STALL_S_MAX = 600.0
ANSWER_S_MAX = 600.0
OUTPUT = "verify-results"
NAMES = [scenario.name for scenario in SCENARIOS]


@click.group(invoke_without_command=True)
@click.option("--target", metavar="URL", help="Test this event stream.")
@click.option(
    "--compare",
    metavar="A,B,...",
    help="Test several: direct (a plain demo backend), sidecar (the same behind a sidecar), URLs.  "
    "[default: direct,sidecar]",
)
@click.option(
    "--users", type=click.IntRange(1, USERS_MAX), help="Users in each scenario.  [default: 20, quick 6]"
)
@click.option("--seed", type=click.IntRange(0, SEED_MAX), help="Repeat a run.  [default: any]")
@click.option("--quick", is_flag=True, help="Fewer users, shorter answers: about a minute.")
@click.option(
    "--path",
    "path_kind",
    type=click.Choice(["auto", "real", "userspace"]),
    default="auto",
    show_default=True,
    help="How the network is impaired; real needs root on Linux.",
)
@click.option("--scenario", "names", multiple=True, type=click.Choice(NAMES), help="Only these.")
@click.option("-X", "--method", help="Method for URLs; GET, or POST if there is a body.")
@click.option("-H", "--header", "fields", multiple=True, metavar="'NAME: VALUE'", help="Header for URLs.")
@click.option("-d", "--data", "--body", "body", help="Body for URLs; JSON unless a Content-Type is given.")
@click.option(
    "--stall-s",
    type=click.FloatRange(0, STALL_S_MAX, min_open=True),
    help="Silence after which users reconnect.  [default: 3 for direct and sidecar, 30 for URLs]",
)
@click.option(
    "--answer-s",
    type=click.FloatRange(1, ANSWER_S_MAX),
    default=ANSWER_S,
    show_default=True,
    help="How long an answer of a URL may take; what takes longer is a feed without an end.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=OUTPUT,
    show_default=True,
    help="Directory for the results.",
)
@click.pass_context
def verify(context: click.Context, /, **options: object) -> None:
    """Run the resilience scenarios, and write the evidence.

    Exit code 0: every scenario passed. Exit code 1: a scenario failed. Exit code 2: it did not run. With
    --compare, failures of the plain backend `direct` do not count.
    """
    if context.invoked_subcommand is None:
        _verify(**options)  # type: ignore[arg-type]


verify.add_command(load)
verify.add_command(proxy)
verify.add_command(report)


def _verify(  # noqa: PLR0913 - one parameter for each option
    *,
    target: str | None,
    compare: str | None,
    users: int | None,
    seed: int | None,
    quick: bool,
    path_kind: str,
    names: tuple[str, ...],
    method: str | None,
    fields: tuple[str, ...],
    body: str | None,
    stall_s: float | None,
    answer_s: float,
    output: Path,
) -> None:
    specs = _specs(target, compare)
    question = _question(method, fields, body)
    plan = RunPlan(
        specs=specs,
        seed=random.randrange(SEED_MAX) if seed is None else seed,  # noqa: S311 - repeatable, guards nothing
        users=users,
        quick=quick,
        path=path_kind,  # type: ignore[arg-type]
        scenarios=[scenario for scenario in SCENARIOS if not names or scenario.name in names],
        questions={spec: replace(question, url=spec) for spec in specs},
        stall_s=stall_s,
        answer_s=answer_s,
        command=shlex.join(["sse-sidecar", *sys.argv[1:]]),
    )
    results = _run(plan)
    _write(results, output)
    judged = [each for each in results.targets if each.name != DIRECT or specs == [DIRECT]]
    for each in results.targets:
        click.echo(f"{each.name}: {each.verdict}")
    sys.exit(0 if all(each.verdict == "passed" for each in judged) else EXIT_FAILED)


def _write(results: Results, folder: Path) -> None:
    try:
        for file in write(results, folder):
            click.echo(f"wrote {file}")
    except OSError as error:
        _leave(f"cannot write {folder}: {error.strerror or error}")


def _run(plan: RunPlan) -> Results:
    click.echo(f"seed {plan.seed}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its servers are to end with it
    try:
        return asyncio.run(run(plan, click.echo))
    except* (NotStarted, PathError) as group:
        message = "; ".join(str(error) for error in _leaves(group))
    except* KeyboardInterrupt:
        message = "interrupted"
    return _leave(message)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _leave(message: str) -> Results:
    click.echo(f"sse-sidecar verify: {message}", err=True)
    sys.exit(EXIT_CANNOT_RUN)


def _specs(target: str | None, compare: str | None) -> list[str]:
    if target and compare:
        raise click.UsageError("--target and --compare exclude each other: name the URL in --compare.")
    specs = [target] if target else [spec.strip() for spec in (compare or f"{DIRECT},{SIDECAR}").split(",")]
    for spec in specs:
        if spec not in (DIRECT, SIDECAR):
            _check(spec)
    if len(set(specs)) < len(specs):
        raise click.UsageError("--compare: each only once")
    return specs


def _check(spec: str) -> None:
    """Raise click.UsageError unless it is a known name or a URL."""
    try:
        check_url(spec)
        ListenAddress.of(spec)
    except ValueError as error:
        raise click.UsageError(f"{error}, and neither {DIRECT} nor {SIDECAR}") from None
    except PathError as error:
        raise click.UsageError(str(error)) from None


def _question(method: str | None, fields: tuple[str, ...], body: str | None) -> UserRequest:
    headers = dict(map(header_field, fields))
    if body is not None:
        headers.setdefault("content-type", "application/json")
    method = (method or ("GET" if body is None else "POST")).upper()
    return UserRequest(url="", method=method, headers=headers, body=(body or "").encode())
