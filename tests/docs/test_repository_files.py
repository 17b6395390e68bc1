"""The files that a code host and contributors' tools read are complete and agree with the code."""

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from tests.kit.runbook_faults import anchors

ROOT = Path(__file__).parents[2]
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
PAGES = ("CONTRIBUTING.md", "SECURITY.md", "docs/deliverables.md")
INPUTS = frozenset({"checkboxes", "dropdown", "input", "textarea"})
LINTERS = (["ruff", "check"], ["ruff", "format"], ["mypy"])


def _yaml(path: str | Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return found


def _hooks() -> list[list[str]]:
    """Return the command of each local hook, without the folder of its program."""
    repos = _yaml(".pre-commit-config.yaml")["repos"]
    hooks = [hook for repo in repos if repo["repo"] == "local" for hook in repo["hooks"]]
    return [hook["entry"].removeprefix(".venv/bin/").split() for hook in hooks]


def _lint() -> list[list[str]]:
    """Return the commands of `make lint`, without the folder of their program."""
    shown = subprocess.run(
        ["make", "--dry-run", "--always-make", "lint"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [words.split() for words in re.findall(r"^\.venv/bin/((?:ruff|mypy).*)$", shown, re.MULTILINE)]


class TestWorkflow:
    WORKFLOW = _yaml(".github/workflows/ci.yml")

    def test_it_runs_the_script_of_ci(self) -> None:
        commands = [step.get("run") for job in self.WORKFLOW["jobs"].values() for step in job["steps"]]
        assert "bash .ci/run" in commands
        assert (ROOT / ".ci/run").exists()

    def test_it_runs_on_pull_requests_with_a_read_only_token(self) -> None:
        assert "pull_request" in self.WORKFLOW[True]  # YAML 1.1 reads the key `on` as true
        assert self.WORKFLOW["permissions"] == {"contents": "read"}

    def test_every_action_has_a_version_and_every_job_a_limit(self) -> None:
        for job in self.WORKFLOW["jobs"].values():
            assert job["timeout-minutes"] <= 60
            for used in (step["uses"] for step in job["steps"] if "uses" in step):
                assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", used)


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_has_the_keys_that_the_code_host_requires(form: Path) -> None:
    read = _yaml(form)
    assert {"name", "description", "body"} <= read.keys()
    inputs = [part for part in read["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in inputs} <= INPUTS
    assert inputs
    assert all(part["attributes"]["label"] for part in inputs)
    identifiers = [part["id"] for part in inputs]
    assert len(set(identifiers)) == len(identifiers)
    assert all(part["attributes"]["value"] for part in read["body"] if part["type"] == "markdown")


def test_there_is_a_form_for_bugs_and_one_for_features() -> None:
    assert [form.stem for form in FORMS] == ["bug", "feature"]


@pytest.mark.parametrize("linter", LINTERS, ids=" ".join)
def test_a_hook_runs_each_linter_of_make_lint(linter: list[str]) -> None:
    length = len(linter)
    assert linter in [command[:length] for command in _lint()]
    assert linter in [command[:length] for command in _hooks()]


def test_make_lint_runs_nothing_that_no_hook_runs() -> None:
    assert [command for command in _lint() if not any(command[: len(each)] == each for each in LINTERS)] == []


def test_no_hook_is_downloaded() -> None:
    repos = _yaml(".pre-commit-config.yaml")["repos"]
    assert {repo["repo"] for repo in repos} <= {"local", "meta"}
    assert {hook["language"] for repo in repos if repo["repo"] == "local" for hook in repo["hooks"]} == {
        "system"
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_page_and_its_heading(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, fragment = link.partition("#")
        found = (ROOT / page).parent / file if file else ROOT / page
        if not found.exists() or (fragment and unquote(fragment) not in anchors(found.read_text())):
            broken.append(link)
    assert broken == []
