"""Rules for every test: async tests with a deadline, the layers, and no silent skip in CI."""

import asyncio
import collections
import functools
import inspect
import os
import signal
import traceback
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import hypothesis
import pytest

from tests.kit.needs import NEEDS, needs_of

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

ASYNC_TEST_TIMEOUT_S = 60.0

REASON_CHARS_MAX = 4000
"""Of what is repeated of a failure's reason; the whole of it stands where pytest says it."""

LAST = "test_drills.py"
"""Its commands ask whether the machine lags: nothing that CI runs beside the tests shall still run then."""

# Machines that run CI are slow and shared: a deadline per example would measure them, not the code.
hypothesis.settings.register_profile("sidecar", deadline=None, print_blob=True)
hypothesis.settings.load_profile("sidecar")


FOREGROUND_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

LEFT_OUT: pytest.StashKey[collections.Counter[str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that `make test` uses."""
    parser.addoption(
        "--layer",
        choices=("python", "all"),
        default="all",
        help="python: leave out tests that need more than Python",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Give signals their default meaning, which a job in the background or under nohup lacks.

    A program inherits an ignored signal, so tests that interrupt one would wait for nothing.
    """
    config.stash[LEFT_OUT] = collections.Counter[str]()
    for number in FOREGROUND_SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out or skip what this layer or machine cannot run; slow tests come first, the drills last."""
    items.sort(key=lambda item: (item.path.name == LAST, item.get_closest_marker("slow") is None))
    missing = functools.cache(lambda name: NEEDS[name]())
    kept, left_out = [], []
    for item in items:
        needs = needs_of(item)
        if needs and config.getoption("--layer") == "python":
            left_out.append(item)
            config.stash[LEFT_OUT][", ".join(sorted(needs))] += 1
            continue
        kept.append(item)
        if lacking := [missing(name) for name in sorted(needs) if missing(name)]:
            item.add_marker(pytest.mark.skip(reason="needs " + "; ".join(lacking)))
    if left_out:
        items[:] = kept
        config.hook.pytest_deselected(items=left_out)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the count of left-out tests from a worker process to the one that reports."""
    if hasattr(session.config, "workeroutput"):
        left_out = session.config.stash[LEFT_OUT]
        session.config.workeroutput["left_out"] = dict(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the count of left-out tests from a worker process; every worker has the same."""
    if left_out := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[LEFT_OUT] = collections.Counter(left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what the acceptance suite measured, and what the layer left out.

    Worker processes run the tests, but this process prints.
    """
    outcomes = ("passed", "failed", "error", "skipped")
    reports = [report for outcome in outcomes for report in terminalreporter.getreports(outcome)]
    promises = [
        report
        for report in reports
        if isinstance(report, pytest.TestReport) and "promise" in dict(report.user_properties)
    ]
    if promises:
        from tests.kit.acceptance_table import summarize  # noqa: PLC0415 - other runs start sooner

        summarize(terminalreporter, promises)
    if left_out := config.stash[LEFT_OUT]:
        terminalreporter.section("left out")
        for needs, count in left_out.most_common():
            terminalreporter.line(f"{count:5} need {needs}")
        terminalreporter.line(f"{left_out.total():5} in all; run them with: make test-all")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an ``async def`` test in an event loop of its own, under its deadline."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    marker = pyfuncitem.get_closest_marker("timeout")
    timeout_s = float(marker.args[0]) if marker else ASYNC_TEST_TIMEOUT_S
    asyncio.run(_run_within(timeout_s, pyfuncitem))
    return True


async def _run_within(timeout_s: float, item: pytest.Function) -> None:
    arguments = {name: item.funcargs[name] for name in inspect.signature(item.obj).parameters}
    try:
        async with asyncio.timeout(timeout_s) as deadline:
            await item.obj(**arguments)
    except TimeoutError as error:
        if not deadline.expired():
            raise
        message = f"still running after {timeout_s:g} s"
        raise AssertionError(message) from error


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one. Why a test failed also stands below all that it printed."""
    report = yield
    if report.failed and call.excinfo is not None:
        reasons = "".join(_reasons(call.excinfo.value))
        report.sections.append(("once more, why", reasons[:REASON_CHARS_MAX]))
    return _refuse_skip(report)


def _reasons(error: BaseException) -> Iterator[str]:
    """Yield what an error says, or each of a group."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _reasons(each)
    else:
        yield from traceback.format_exception_only(error)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI a skipped test file is a failed one."""
    report = yield
    return _refuse_skip(report)


def _refuse_skip(report: Report) -> Report:
    expected_failure = hasattr(report, "wasxfail")
    if os.environ.get("CI") == "true" and report.skipped and not expected_failure:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: nothing may be skipped in CI, but this was. {reason}"
    return report
