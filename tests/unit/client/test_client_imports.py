"""The Python client works alone and imports nothing of the server."""

import json
import subprocess
import sys

import sidecar.client

OF_THE_SERVER = {
    "starlette",
    "uvicorn",
    "prometheus_client",
    "pydantic",
    "structlog",
    "yaml",
    "click",
    "redis",
}
LISTED = "import json, sys, sidecar.client, sidecar.client.blocking; print(json.dumps(sorted(sys.modules)))"


def test_importing_the_client_imports_nothing_of_the_server() -> None:
    command = [sys.executable, "-c", LISTED]
    modules = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert "aiohttp" in modules
    assert OF_THE_SERVER.isdisjoint(modules)
    own = {name for name in modules if name.startswith("sidecar.") and not name.startswith("sidecar.client")}
    assert own == {"sidecar.sse", "sidecar.sse.backoff", "sidecar.sse.event_id"}


def test_what_it_exports_is_there() -> None:
    assert all(hasattr(sidecar.client, name) for name in sidecar.client.__all__)
