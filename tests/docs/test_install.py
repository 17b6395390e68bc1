"""The installation from the locks: what it tells a developer, and which settings reach uv."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.kit.blocking_process import blocking_process

ROOT = Path(__file__).parents[2]
RUN_S = 120


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / ".ci" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


install = _load()

# What pip and uv print.
PRINTED = {
    "no network, pip": (
        "NewConnectionError('Failed to establish a new connection: [Errno 111] Connection refused')",
        install.NO_NETWORK,
    ),
    "no network, uv": (
        "error: Failed to fetch: `http://127.0.0.1:9/simple/click/`\n  cause: error sending request for url",
        install.NO_NETWORK,
    ),
    "no name": ("  cause: dns error: failed to lookup address information", install.NO_NETWORK),
    "certificate, pip": (
        "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate'))",
        install.CERTIFICATE,
    ),
    "certificate, uv": ("  cause: invalid peer certificate: UnknownIssuer", install.CERTIFICATE),
    "disk, pip": (
        "shutil.Error: [('/tmp/x', '/y', '[Errno 28] No space left on device')]",
        install.DISK_FULL,
    ),
    "disk, uv": ("  cause: failed to copy file: No space left on device (os error 28)", install.DISK_FULL),
    "hash, pip": ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", install.OTHER_FILE),
    "hash, uv": ("  cause: Hash mismatch for `click==8.4.2`", install.OTHER_FILE),
    "release, uv": (
        "error: No solution found when resolving dependencies\n  cause: there is no version of click==8.4.2",
        install.INDEX_LACKS,
    ),
    "no wheel": ("Because x==0.1.4 has no usable wheels and you require x==0.1.4", install.NO_WHEEL),
    "unpinned": (
        "error: In `--require-hashes` mode, all requirements must have their versions pinned with `==`",
        install.INCOMPLETE_LOCK,
    ),
    "no venv": (
        "The virtual environment was not created because ensurepip is not available.",
        install.NO_VENV,
    ),
    "not mine": ("error: failed to create directory `/x/.venv`: Permission denied", install.NOT_WRITABLE),
    "unheard of": ("segmentation fault", install.UNKNOWN),
}


@pytest.mark.parametrize(("printed", "remedy"), PRINTED.values(), ids=PRINTED)
def test_a_failed_command_gets_its_remedy(printed: str, remedy: str) -> None:
    assert install.remedy(printed) == remedy


def test_the_reason_is_the_error_lines_and_is_bounded() -> None:
    printed = "Collecting x\n" + "error: " + "y" * 1000 + "\n  File 'z.py', line 1\n"
    (line,) = install.reason(printed)
    assert line.startswith("error: y")
    assert len(line) == install.REASON_LINE_CHARS_MAX
    assert len(install.reason("error\n" * 50)) == install.REASON_LINES_MAX
    assert install.reason("one\ntwo") == ["one", "two"]


def test_settings_of_pip_hold_for_uv_unless_uv_has_its_own() -> None:
    pip = {"index-url": "https://index.example/simple", "cert": "/ca.pem", "proxy": "http://proxy:3128"}
    told = install.uv_environment({"HOME": "/home/me"}, pip)
    assert told["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert told["SSL_CERT_FILE"] == "/ca.pem"
    assert told["HTTPS_PROXY"] == "http://proxy:3128"
    assert "UV_SYSTEM_CERTS" not in told
    own = install.uv_environment(
        {"UV_DEFAULT_INDEX": "https://other.example", "SSL_CERT_FILE": "/b.pem"}, pip
    )
    assert (own["UV_DEFAULT_INDEX"], own["SSL_CERT_FILE"]) == ("https://other.example", "/b.pem")
    assert install.uv_environment({}, {})["UV_SYSTEM_CERTS"] == "true"


def test_settings_of_target_and_packages_reach_neither_tool() -> None:
    user = {"PATH": "/bin", "PIP_USER": "1", "PIP_PREFIX": "/opt", "UV_PYTHON": "3.13", "UV_CACHE_DIR": "/c"}
    settings = {"user": "1", "prefix": "/opt", "constraint": "c.txt", "index-url": "https://index.example"}
    pip = install.pip_environment(user, settings)
    assert {name: value for name, value in pip.items() if name.startswith("PIP_")} == {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://index.example",
    }
    uv = install.uv_environment(user, settings)
    assert "UV_PYTHON" not in uv
    assert uv["UV_CACHE_DIR"] == "/c"


def _copy_installation(folder: Path) -> None:
    shutil.copytree(ROOT / ".ci", folder / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (install.UV_LOCK, *install.LOCKS.values()):
        shutil.copy(ROOT / name, folder)


def test_ctrl_c_ends_the_installation_without_a_traceback(tmp_path: Path) -> None:
    _copy_installation(tmp_path)
    command: list[str | Path] = [sys.executable, tmp_path / ".ci" / "install.py", "runtime"]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with blocking_process(command, start_new_session=True, **streams) as started:
        assert started.stdout is not None
        assert started.stdout.read(len("[1/4]")) == "[1/4]"
        os.killpg(started.pid, signal.SIGINT)
        output, errors = started.communicate(timeout=RUN_S)
    assert started.returncode == 130
    assert "Traceback" not in output + errors


def test_an_unreachable_index_gives_a_remedy_and_no_traceback(tmp_path: Path) -> None:
    _copy_installation(tmp_path)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but it does not listen
        index = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        ran = subprocess.run(
            [sys.executable, tmp_path / ".ci" / "install.py", "runtime"],
            env={
                "PATH": os.environ["PATH"],
                "PIP_CONFIG_FILE": os.devnull,
                "PIP_INDEX_URL": index,
                "PIP_RETRIES": "0",
            },
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
    assert ran.returncode == 1
    assert install.NO_NETWORK in ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    assert len(ran.stderr.splitlines()) <= install.REASON_LINES_MAX + len(install.NO_NETWORK.splitlines())
