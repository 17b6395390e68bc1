"""The launchers read a program's output and end it with the block."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.kit.blocking_process import blocking_process, read_until
from tests.kit.deadline import Overdue
from tests.kit.user_process import run_to_end, user_process

PYTHON = (sys.executable, "-u", "-c")
SLEEP = "import time; print('up'); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid)
child.wait()
"""
SHORT_S = 0.2
END_S = 5.0


class TestUserProcess:
    async def test_output_is_read_line_by_line_and_then_to_its_end(self) -> None:
        program = "import sys; print('a'); print('b'); print('c', file=sys.stderr); sys.exit(3)"
        async with user_process(*PYTHON, program, stderr=subprocess.PIPE) as running:
            assert await running.line() == "a"
            assert await running.finish() == (3, "b\n", "c\n")
            running.signal(signal.SIGTERM)

    async def test_a_program_that_runs_at_the_end_is_killed(self) -> None:
        async with user_process(*PYTHON, DEAF) as running:
            assert await running.line() == "up"
        assert running.process.returncode == -signal.SIGKILL

    async def test_stop_returns_the_exit_code(self) -> None:
        async with user_process(*PYTHON, SLEEP) as running:
            assert await running.line() == "up"
            assert await running.stop() == -signal.SIGTERM

    async def test_a_program_that_ignores_sigterm_fails_the_stop(self) -> None:
        async with user_process(*PYTHON, DEAF) as running:
            assert await running.line() == "up"
            with pytest.raises(Overdue):
                await running.stop(SHORT_S)
            assert running.process.returncode == -signal.SIGKILL

    async def test_a_wait_that_is_too_long_fails(self) -> None:
        async with user_process(*PYTHON, SLEEP) as running:
            assert await running.line() == "up"
            with pytest.raises(Overdue):
                await running.line(SHORT_S)
            with pytest.raises(Overdue):
                await running.wait(SHORT_S)
        with pytest.raises(Overdue):
            await run_to_end(*PYTHON, SLEEP, within_s=SHORT_S)

    async def test_a_session_of_its_own_ends_as_a_whole(self) -> None:
        async with user_process(*PYTHON, PARENT, start_new_session=True) as running:
            child = psutil.Process(int(await running.line()))
            assert child.is_running()
        gone, _ = psutil.wait_procs([child], END_S)
        assert gone or child.status() == psutil.STATUS_ZOMBIE


class TestBlockingProcess:
    def test_a_program_is_stopped_at_the_end_of_the_block(self) -> None:
        with blocking_process([*PYTHON, SLEEP], stdout=subprocess.PIPE) as running:
            assert read_until(running, running.stdout, "up", 10) == "up\n"
        assert running.returncode == -signal.SIGTERM

    def test_a_late_program_is_killed_and_reported(self) -> None:
        with (
            pytest.raises(subprocess.TimeoutExpired),
            blocking_process([*PYTHON, DEAF], stop_s=SHORT_S, stdout=subprocess.PIPE) as running,
        ):
            read_until(running, running.stdout, "up", 10)
        assert running.returncode == -signal.SIGKILL

    def test_a_program_that_may_be_late_is_killed(self, tmp_path: Path) -> None:
        command = [*PYTHON, DEAF]
        with blocking_process(
            command, stop_s=SHORT_S, may_be_late=True, cwd=tmp_path, stdout=subprocess.PIPE
        ) as running:
            read_until(running, running.stdout, "up", 10)
        assert running.returncode == -signal.SIGKILL

    def test_words_that_never_come_fail_the_test(self) -> None:
        with blocking_process([*PYTHON, SLEEP], stdout=subprocess.PIPE) as running:
            with pytest.raises(AssertionError, match="only: up"):
                read_until(running, running.stdout, "down", SHORT_S)
            assert running.wait(10) == -signal.SIGKILL
