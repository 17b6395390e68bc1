"""The command line starts what is configured rightly, and names every fault of what is not."""

import json
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from sidecar import __version__
from sidecar.cli.main import main
from sidecar.config.messages import ABSENT_SETTINGS
from sidecar.config.table import SETTINGS
from tests.kit.blocking_process import blocking_process, read_until

UPSTREAM = ["--upstream", "http://127.0.0.1:8000"]
CLEAN = {"SSE_SIDECAR_CONFIG": "", "SSE_SIDECAR_UPSTREAM": ""}
START_S = 30.0
EXIT_S = 20.0
URL_ALLOWED = "an http:// or https:// URL with a host, without user, query and fragment"
TWO_NAMES = """
upstream: http://127.0.0.1:8000
routes:
  - {name: chat, path: /a}
  - {name: chat, path: /b}
"""

FAULTS = [
    (
        "upstrem: http://x\n",
        ["upstrem: unknown setting; did you mean upstream?", f"upstream: missing; allowed: {URL_ALLOWED}"],
    ),
    ("upstream: http://x\ndrain_s: soon\n", ["drain_s: got soon; allowed: 0 to 3600 seconds"]),
    ("upstream: ftp://x\n", [f"upstream: got ftp://x; allowed: {URL_ALLOWED}"]),
    ("upstream: http://x\nworkers: 2\n", [f"workers: unknown setting; {ABSENT_SETTINGS['workers']}"]),
    (TWO_NAMES, ["routes[1].name: got chat; a route before it has the same name"]),
]


@pytest.mark.parametrize("command", ["serve", "check-config"])
@pytest.mark.parametrize(("text", "faults"), FAULTS, ids=["unknown", "type", "url", "workers", "routes"])
def test_a_configuration_that_cannot_be_used_is_refused_with_a_line_for_each_fault(
    tmp_path: Path, command: str, text: str, faults: list[str]
) -> None:
    file = tmp_path / "sidecar.yaml"
    file.write_text(text)
    result = _run(command, "--config", str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert sorted(result.stderr.splitlines()) == sorted(faults)


def test_a_real_process_exits_with_2_and_without_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    file.write_text("upstream: http://x\nworkers: 2\nlinger: 3\n")
    ended = _process("serve", "--config", str(file))
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 2


def test_a_file_that_is_not_there_is_named() -> None:
    result = _run("serve", "--config", "/nowhere/sidecar.yaml")
    assert (result.exit_code, result.stderr) == (
        2,
        "/nowhere/sidecar.yaml: it cannot be read: No such file or directory\n",
    )


def test_an_address_in_use_is_one_line_and_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = _process("serve", *UPSTREAM, "--listen", address, "--admin-listen", "127.0.0.1:0")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    told = [line for line in ended.stderr.splitlines() if line.startswith("cannot start on ")]
    assert len(told) == 1
    assert address in told[0]
    assert told[0].endswith(": Address already in use")


def test_serve_runs_until_sigterm_and_exits_with_0() -> None:
    arguments = _command("serve", *UPSTREAM, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
    with blocking_process(arguments, stderr=subprocess.PIPE) as process:
        lines = read_until(process, process.stderr, '"started"', START_S).splitlines()
        started = json.loads(lines[-1])
        assert _status(started["admin"], "/livez") == 200  # the loop turns: signals are taken
        process.send_signal(signal.SIGTERM)
        assert process.wait(EXIT_S) == 0


class TestServe:
    def test_every_setting_but_the_routes_has_a_flag(self) -> None:
        shown = _run("serve", "--help").stdout
        assert [row.flag for row in SETTINGS if row.flag and row.flag not in shown] == []


class TestCheckConfig:
    def test_it_says_ok_and_shows_the_routes(self, tmp_path: Path) -> None:
        file = tmp_path / "sidecar.yaml"
        routes = [{"name": "chat", "path": "/v1/*", "methods": ["POST"], "linger_s": 7}]
        file.write_text(yaml.safe_dump({"upstream": "http://backend:8000", "routes": routes}))
        result = _run("check-config", "--config", str(file))
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == (
            "ok\n"
            "127.0.0.1:8080 -> http://backend:8000, admin on 127.0.0.1:9464\n"
            "\n"
            "NAME     METHODS  PATH   KIND    STAMP  ON_DISCONNECT  LINGER_S  RETAIN_S\n"
            "chat     POST     /v1/*  answer  auto   linger         7         300\n"
            "default  any      /*     answer  auto   linger         60        300\n"
        )

    def test_a_default_route_of_one_s_own_is_shown_once(self, tmp_path: Path) -> None:
        file = tmp_path / "sidecar.yaml"
        file.write_text("upstream: http://x\nroutes: [{name: default}]\n")
        assert _run("check-config", "--config", str(file)).stdout.count("default") == 1

    def test_it_prints_the_schema_that_editors_read(self) -> None:
        result = _run("check-config", "--schema")
        assert (result.exit_code, json.loads(result.stdout)["title"]) == (0, "sse-sidecar")

    def test_the_environment_names_the_file_and_sets_the_rest(self, tmp_path: Path) -> None:
        file = tmp_path / "sidecar.yaml"
        file.write_text("upstream: http://x\n")
        env = {"SSE_SIDECAR_CONFIG": str(file), "SSE_SIDECAR_LISTEN": "127.0.0.1:1234"}
        result = CliRunner().invoke(main, ["check-config"], env=env)
        assert (result.exit_code, "127.0.0.1:1234 -> http://x" in result.stdout) == (0, True)

    def test_a_secret_is_not_shown(self) -> None:
        result = _run("check-config", *UPSTREAM, "--secret", "hunter2")
        assert result.exit_code == 2
        assert "hunter2" not in result.output


def test_the_module_is_the_command() -> None:
    ended = _process("--version")
    assert (ended.returncode, ended.stdout) == (0, f"sse-sidecar, version {__version__}\n")


def _status(address: str, target: str) -> int:
    connection = HTTPConnection(address, timeout=EXIT_S)
    try:
        connection.request("GET", target)
        return connection.getresponse().status
    finally:
        connection.close()


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env=CLEAN)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sidecar", *arguments]


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(*arguments), capture_output=True, text=True, timeout=EXIT_S, check=False)
