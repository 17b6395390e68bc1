"""What every test stands on: async tests with a deadline, and no silent skip in CI."""

import asyncio
import inspect
import os
import traceback
from collections.abc import Generator, Iterator
from typing import TypeVar

import hypothesis
import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

ASYNC_TEST_TIMEOUT_S = 60.0

REASON_CHARS_MAX = 4000
"""Of what is repeated of a failure's reason; the whole of it stands where pytest says it."""

LAST = "test_drills.py"
"""Its commands ask whether the machine lags: nothing that CI runs beside the tests shall still run then."""

# Machines that run CI are slow and shared: a deadline per example would measure them, not the code.
hypothesis.settings.register_profile("sidecar", deadline=None, print_blob=True)
hypothesis.settings.load_profile("sidecar")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the drills behind everything else."""
    items.sort(key=lambda item: item.path.name == LAST)


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
