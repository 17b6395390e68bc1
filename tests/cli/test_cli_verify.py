"""The command line of verify: what can be asked, what it leaves behind, and how it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sidecar.cli.main import main

NOBODY = "http://127.0.0.1:1/stream"
"""Where nobody listens."""


def verify(*words: str) -> Result:
    return CliRunner().invoke(main, ["verify", *words])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", NOBODY, "--compare", "direct"], "--target and --compare exclude each other"),
        (["--compare", "direct,sidecars"], "'sidecars' is no http:// or https:// URL"),
        (["--compare", "direct,direct"], "each only once"),
        (["--target", NOBODY, "-H", "no colon"], "'no colon' is no 'Name: value'"),
        (["--scenario", "fast-3g"], "'fast-3g' is not one of"),
        (["--users", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_asked_is_said_and_ends_with_2(words: list[str], said: str, tmp_path: Path) -> None:
    result = verify("--output", str(tmp_path), *words)
    assert said in result.output
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])


def test_a_server_that_is_not_there_has_failed_with_a_sentence_in_every_form(tmp_path: Path) -> None:
    result = verify(
        "--target", NOBODY, "--scenario", "stall", "--path", "userspace", "--output", str(tmp_path)
    )
    assert result.exit_code == 1, result.output
    sentence = f"{NOBODY} gave no message: The server cannot be reached. Given up after 1 attempt."
    assert sentence in result.output
    results = json.loads((tmp_path / "sse_test_results.json").read_text())
    assert results["targets"][0]["scenarios"][0]["reasons"] == [sentence]
    assert NOBODY in (tmp_path / "sse_test_results.md").read_text()
    assert NOBODY in (tmp_path / "sse_test_results.html").read_text()


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    result = verify("--target", NOBODY, "--path", "userspace", "--output", str(file / "below"))
    assert (result.exit_code, "cannot write" in result.output) == (2, True), result.output


@pytest.mark.slow
def test_in_a_comparison_the_plain_backend_may_fail(tmp_path: Path) -> None:
    words = ["--quick", "--users", "1", "--seed", "5", "--path", "userspace", "--scenario", "network-handoff"]
    result = verify("--compare", "direct,sidecar", *words, "--output", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert result.output.endswith("direct: failed\nsidecar: passed\n")
    assert "seed 5\n" in result.output
