"""Start programs as ``user_process`` does, without an event loop."""

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.kit.user_process import STOP_S


@contextmanager
def blocking_process(
    command: Sequence[str | Path], *, stop_s: float = STOP_S, may_be_late: bool = False, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Start a program and stop it with SIGTERM at the end of the block.

    A program that runs longer than ``stop_s`` is killed. Unless it ``may_be_late``, TimeoutExpired follows.
    ``options`` are those of ``subprocess.Popen``; streams carry text.
    """
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        try:
            _stop(process, stop_s, may_be_late=may_be_late)
        finally:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def _stop(process: subprocess.Popen[str], within_s: float, *, may_be_late: bool) -> None:
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_S)
        if not may_be_late:
            raise


def read_until(process: subprocess.Popen[str], pipe: IO[str] | None, words: str, within_s: float) -> str:
    """Read up to the line with these words.

    AssertionError if the program does not print them in time.
    """
    assert pipe is not None, "the stream is not a pipe"
    read = ""
    deadline = threading.Timer(within_s, process.kill)
    deadline.start()
    try:
        for line in pipe:
            read += line
            if words in line:
                return read
    finally:
        deadline.cancel()
    raise AssertionError(f"never printed {words!r}, only: {read}")
