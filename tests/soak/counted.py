"""Run ``python -m sidecar`` with a count of its tasks on SIGUSR1."""

import asyncio
import json
import runpy
import signal
import sys


def _count(*_: object) -> None:
    try:
        tasks = len(asyncio.all_tasks())
    except RuntimeError:  # no event loop: it starts, or ends
        return
    sys.stderr.write(json.dumps({"event": "counted", "level": "info", "tasks": tasks}) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _count)
    runpy.run_module("sidecar", run_name="__main__", alter_sys=True)
