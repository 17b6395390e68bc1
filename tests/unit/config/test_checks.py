"""Checks across settings name the setting to change."""

from pathlib import Path

import pytest
import yaml

from sidecar.config.load import ConfigError, load
from sidecar.config.routes import ROUTES_MAX

UPSTREAM = {"upstream": "http://127.0.0.1:8000"}
SECRET = "hunter2hunter2hunter2hunter2hunter2!"


def _route(**values: object) -> dict[str, object]:
    return {"name": "chat", **values}


def _faults(file: Path | None, flags: dict[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(file, {}, flags)
    return str(refused.value).split("\n")


def _in_file(folder: Path, routes: list[dict[str, object]]) -> Path:
    file = folder / "sidecar.yaml"
    file.write_text(yaml.safe_dump({**UPSTREAM, "routes": routes}))
    return file


@pytest.mark.parametrize(
    ("routes", "fault"),
    [
        (
            [_route(path="/a"), _route(path="/b")],
            "routes[1].name: got chat; a route before it has the same name",
        ),
        (
            [_route(), {"name": "b", "path": "/b"}],
            "routes[1].path: got /b; route chat before it takes every request; move that one to the end",
        ),
        (
            [_route(path="/_sse/x")],
            "routes[0].path: got /_sse/x; it is below reserved_prefix (/_sse), which is never forwarded",
        ),
        (
            [_route(upstream_resume=True)],
            (
                "routes[0].upstream_resume: got true; it needs methods: [GET], because only a GET can be "
                "repeated safely"
            ),
        ),
        (
            [_route(stall_s=20, upstream_idle_s=20)],
            (
                "routes[0].stall_s: got 20; it must be less than upstream_idle_s (20), or the sidecar would "
                "give up the backend before it declares a stall"
            ),
        ),
        (
            [_route(early_start_s=1, heartbeat_s="off")],
            "routes[0].early_start_s: got 1; it needs heartbeat_s, because heartbeats follow the early head",
        ),
        (
            [_route(early_start_s=3, first_byte_timeout_s=3)],
            "routes[0].early_start_s: got 3; it must be less than first_byte_timeout_s (3)",
        ),
        (
            [_route(log_bytes_max="512MiB")],
            (
                "log_bytes_total_max: got 268435456; it must be at least the largest log_bytes_max, "
                "536870912 bytes"
            ),
        ),
    ],
)
def test_route_settings_that_contradict_each_other_are_refused(
    tmp_path: Path, routes: list[dict[str, object]], fault: str
) -> None:
    assert _faults(_in_file(tmp_path, routes), {}) == [fault]


def test_the_number_of_routes_is_bounded(tmp_path: Path) -> None:
    routes: list[dict[str, object]] = [{"name": f"r{at}", "path": f"/{at}"} for at in range(ROUTES_MAX + 1)]
    assert len(load(_in_file(tmp_path, routes[:-1]), {}, {}).routes) == ROUTES_MAX
    assert _faults(_in_file(tmp_path, routes), {})[0].endswith(f"allowed: up to {ROUTES_MAX} routes")


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (
            {"listen": "127.0.0.1:9464"},
            ("admin_listen: got 127.0.0.1:9464; it must differ from listen: each needs its own port"),
        ),
        (
            {"retiring_secret": SECRET},
            (
                "retiring_secret: got (hidden) from --retiring-secret; it needs secret, the "
                "key that signs new ids"
            ),
        ),
        (
            {"principal": "jwt:sub"},
            (
                "principal: got jwt:sub from --principal; jwt inputs need auth_check, because the "
                "sidecar verifies no signature"
            ),
        ),
    ],
)
def test_process_settings_that_contradict_each_other_are_refused(
    values: dict[str, object], fault: str
) -> None:
    assert _faults(None, {**UPSTREAM, **values}) == [fault]
