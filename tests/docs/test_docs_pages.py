"""The pages of docs/ about running the sidecar: links, commands, names and values are right."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import promql_parser
import pytest
import yaml

from alerts.recordings import recordings
from sidecar.cli.main import main
from sidecar.config.settings import Settings
from sidecar.config.table import ROUTE_SETTINGS, SETTINGS
from sidecar.observability.catalogue import CATALOGUE
from sidecar.observability.labels import Outcome
from sidecar.observability.slo import SLO
from tests.kit.client import SSEClient
from tests.kit.promtool import needs_promtool, tool
from tests.kit.runbook_faults import anchors
from tests.kit.running import running
from tests.kit.snippets import DOCS, snippets
from tests.kit.user_process import run_to_end

PAGES = (
    "implementation-guide.md",
    "quick-reference.md",
    "troubleshooting.md",
    "verify.md",
    "conformance.md",
    "deliverables.md",
)
TEXTS = {name: (DOCS / name).read_text(encoding="utf-8") for name in PAGES}
GUIDE = snippets("implementation-guide.md")
ROWS = {row.name: row for row in (*SETTINGS, *ROUTE_SETTINGS)}
VARIABLES = {row.env for row in SETTINGS} | {"SSE_SIDECAR_SECRET"}
SAMPLES = {
    sample
    for metric in CATALOGUE
    for sample in (metric.name, *(metric.name + end for end in ("_bucket", "_count", "_sum")))
}
RECORDED = {rule.record for rule in recordings(SLO)}
GRACE_S = float(ROWS["drain_s"].default)


def _links(text: str) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("http")]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_page_and_its_heading(name: str) -> None:
    broken = []
    for link in _links(TEXTS[name]):
        file, _, fragment = link.partition("#")
        page = DOCS / file if file else DOCS / name
        if not page.exists() or (fragment and unquote(fragment) not in anchors(page.read_text())):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("name", PAGES)
def test_every_metric_that_is_named_is_in_the_catalogue(name: str) -> None:
    named = set(re.findall(r"\b(sse_[a-z_]+[a-z])", TEXTS[name])) - {
        "sse_sidecar",
        "sse_test_results",
        "sse_test_report",
    }
    assert named - SAMPLES - RECORDED == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_setting_that_is_named_is_one(name: str) -> None:
    named = set(re.findall(r"`([a-z]+_(?:[a-z]+_)*(?:s|max|listen|token|check|level))`", TEXTS[name]))
    assert named - ROWS.keys() == set()
    assert set(re.findall(r"\bSSE_SIDECAR_[A-Z_]+", TEXTS[name])) - VARIABLES == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_error_that_is_named_has_its_entry(name: str) -> None:
    entries = (DOCS.parent / "runbooks/errors.md").read_text()
    assert [
        code
        for code in re.findall(r"err-sidecar-[a-z-]+[a-z]", TEXTS[name])
        if f"### {code}\n" not in entries
    ] == []


def _commands(text: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]


OURS = [
    line.replace("/opt/sse-sidecar/bin/", "")
    for text in TEXTS.values()
    for line in _commands(text)
    if line.replace("/opt/sse-sidecar/bin/", "").startswith("sse-sidecar ")
]


@pytest.mark.parametrize("line", dict.fromkeys(OURS))
def test_a_command_on_a_page_is_one_of_the_program(line: str) -> None:
    command: click.Command = main
    context = click.Context(main)
    words = shlex.split(line)[1:]
    while words and isinstance(command, click.Group) and (found := command.get_command(context, words[0])):
        command, words = found, words[1:]
    options = {
        option for each in command.get_params(context) for option in (*each.opts, *each.secondary_opts)
    }
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
    assert command is not main or used == {"--version"}
    assert used - options == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_block_for_the_shell_can_be_read_by_it(name: str) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", TEXTS[name], re.MULTILINE | re.DOTALL)
    for block in blocks:
        checked = subprocess.run(["bash", "-n", "-c", block], capture_output=True, text=True, check=False)
        assert checked.stderr == ""


class TestGuide:
    @pytest.mark.parametrize("name", ["sidecar.yaml", "routes.yaml"])
    def test_its_settings_are_valid(self, name: str) -> None:
        Settings.model_validate({"upstream": "http://127.0.0.1:8000", **yaml.safe_load(GUIDE[name])})

    def test_its_queries_are_promql_over_metrics_that_there_are(self) -> None:
        rows = re.findall(
            r"^\| [^|]*(?:min|hour|day) \| `(.*?)` \|", TEXTS["implementation-guide.md"], re.MULTILINE
        )
        assert len(rows) >= 10
        for query in rows:
            promql_parser.parse(query)

    def test_the_systemd_unit_is_valid_and_outlasts_the_drain(self, tmp_path: Path) -> None:
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string(GUIDE["sse-sidecar.service"])
        assert unit.sections() == ["Unit", "Service", "Install"]
        assert float(unit["Service"]["TimeoutStopSec"]) > GRACE_S
        assert unit["Service"]["ExecStart"].split()[1:] == [
            "serve",
            "--config",
            "/etc/sse-sidecar/sidecar.yaml",
        ]
        if shutil.which("systemd-analyze"):
            _assert_systemd_agrees(GUIDE["sse-sidecar.service"], tmp_path)

    def test_compose_gives_the_drain_its_time_and_sets_what_there_is(self) -> None:
        service = yaml.safe_load(GUIDE["compose.yaml"])["services"]["sse-sidecar"]
        assert set(service["environment"]) <= VARIABLES
        assert float(service["stop_grace_period"].removesuffix("s")) > GRACE_S

    async def test_compose_s_health_check_says_yes_of_a_sidecar_that_runs(self) -> None:
        _, *command = yaml.safe_load(GUIDE["compose.yaml"])["services"]["sse-sidecar"]["healthcheck"]["test"]
        async with running("http://127.0.0.1:9") as up:
            words = [word.replace(":9464/", f":{up.admin_port}/") for word in command]
            assert words != command
            assert (await run_to_end(sys.executable, *words[1:])).code == 0

    def test_the_image_is_made_of_files_that_there_are(self) -> None:
        lines = GUIDE["Dockerfile"].splitlines()
        assert (DOCS.parent / "requirements.lock").exists()
        assert 'ENTRYPOINT ["sse-sidecar"]' in lines
        assert 'CMD ["serve", "--config", "/etc/sse-sidecar/sidecar.yaml"]' in lines

    async def test_the_probes_of_the_pod_ask_for_what_the_sidecar_answers(self) -> None:
        deployment, service = yaml.safe_load_all(GUIDE["deployment.yaml"])
        pod = deployment["spec"]["template"]["spec"]
        sidecar = next(each for each in pod["containers"] if each["name"] == "sse-sidecar")
        assert {each["name"] for each in sidecar["env"]} <= VARIABLES
        assert _ports(sidecar) == {"http": 8080, "metrics": 9464}
        assert service["spec"]["ports"][0]["targetPort"] in _ports(sidecar)
        waits = sidecar["lifecycle"]["preStop"]["sleep"]["seconds"] + GRACE_S
        assert pod["terminationGracePeriodSeconds"] > waits
        async with running("http://127.0.0.1:9") as running_sidecar:
            admin = SSEClient("127.0.0.1", running_sidecar.admin_port)
            for probe in ("readinessProbe", "livenessProbe"):
                asked = sidecar[probe]["httpGet"]
                assert asked["port"] == "metrics"
                assert (await admin.fetch("GET", asked["path"])).status == 200

    def test_ingress_and_pod_monitor_select_the_service_and_the_pod(self) -> None:
        deployment, service = yaml.safe_load_all(GUIDE["deployment.yaml"])
        ingress, monitor = (yaml.safe_load(GUIDE[name]) for name in ("ingress.yaml", "podmonitor.yaml"))
        (rule,) = ingress["spec"]["rules"]
        backend = rule["http"]["paths"][0]["backend"]["service"]
        assert backend["name"] == service["metadata"]["name"]
        assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
        assert all(isinstance(value, str) for value in ingress["metadata"]["annotations"].values())
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"] == labels
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert (endpoint["port"], endpoint["relabelings"][0]["replacement"]) == ("metrics", SLO.job)

    @pytest.mark.prometheus
    @needs_promtool
    def test_prometheus_takes_the_scrape_configuration(self, tmp_path: Path) -> None:
        file = tmp_path / "prometheus.yaml"
        file.write_text(GUIDE["prometheus.yaml"])
        checked = tool("promtool", "check", "config", file)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert yaml.safe_load(GUIDE["prometheus.yaml"])["scrape_configs"][0]["job_name"] == SLO.job


def _ports(container: dict[str, Any]) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container["ports"]}


def _assert_systemd_agrees(unit: str, folder: Path) -> None:
    file = folder / "sse-sidecar.service"
    file.write_text(unit.replace("/opt/sse-sidecar/bin/sse-sidecar", str(shutil.which("true"))))
    checked = subprocess.run(
        ["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in checked.stderr.splitlines() if "sse-sidecar.service" in line]
    assert complaints == []


class TestQuickReference:
    PAGE = TEXTS["quick-reference.md"]

    def test_the_defaults_are_the_program_s(self) -> None:
        table = self.PAGE.partition("| Setting (default) |")[2].partition("\n\n")[0]
        said = re.findall(r"`([a-z_]+)` \(`?([\w:.]+)`?\)", table)
        assert len(said) >= 10
        wrong = {name: default for name, default in said if not _is_default(name, default)}
        assert wrong == {}

    def test_it_has_every_outcome(self) -> None:
        assert [outcome for outcome in Outcome if f"`{outcome}`" not in self.PAGE] == []

    def test_it_has_every_command(self) -> None:
        assert [name for name in main.commands if f"{name}" not in self.PAGE] == []

    def test_it_has_every_alert(self) -> None:
        runbooks = {path.stem for path in (DOCS.parent / "runbooks").glob("SSE*.md")}
        assert {name for name in runbooks if name not in self.PAGE} == set()


def _is_default(name: str, said: str) -> bool:
    """Tell whether a default is the documented one; two settings have one for each kind of route."""
    documented = ROWS[name].default or re.findall(r"Default: (\d+) for `answer`", ROWS[name].help)[0]
    return said == documented
