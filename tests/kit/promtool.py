"""Sentences about rules, told to promtool: given these samples, exactly these alerts fire at these times."""

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from sidecar.observability.slo import SLO

RUN_S = 120
"""The longest run of promtool or amtool; they take a second or two."""

needs_promtool = pytest.mark.needs("prometheus")
needs_amtool = pytest.mark.needs("prometheus")


def tool(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool or amtool to its end."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=RUN_S, check=False)


def series(metric: str, *, job: str = SLO.job, instance: str = "a", **labels: str) -> str:
    """Name one series of one sidecar."""
    pairs = {"job": job, "instance": instance, **labels}.items()
    return metric + "{" + ", ".join(f'{name}="{value}"' for name, value in pairs) + "}"


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is promised of one alert.

    ``given`` maps series to promtool's notation of samples, one ``every`` so often; rules are evaluated as
    often. ``firing`` maps times to the labels of exactly those alerts that fire then, without the job.
    """

    says: str
    alert: str
    given: Mapping[str, str]
    firing: Mapping[str, Iterable[str]]
    every: str = "1m"

    @property
    def evaluations(self) -> float:
        """Return how often rules are evaluated: what it costs to judge this."""
        return max(map(_seconds, self.firing)) / _seconds(self.every)

    def file(self, rules: str) -> str:
        """Return promtool's test file."""
        test = {
            "name": self.says,
            "interval": self.every,
            "input_series": [{"series": name, "values": values} for name, values in self.given.items()],
            "promql_expr_test": [self._at(time, alerts) for time, alerts in self.firing.items()],
        }
        return yaml.safe_dump({"rule_files": [rules], "evaluation_interval": self.every, "tests": [test]})

    def _at(self, time: str, alerts: Iterable[str]) -> dict[str, object]:
        head = f'ALERTS{{alertname="{self.alert}", alertstate="firing", job="{SLO.job}", '
        samples = [{"labels": f"{head}{labels}}}", "value": 1} for labels in alerts]
        expr = f'ALERTS{{alertname="{self.alert}", alertstate="firing"}}'
        return {"expr": expr, "eval_time": time, "exp_samples": samples}


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3_600}[duration[-1]]


def told(sentences: Iterable[Sentence], rules: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Let promtool judge sentences by a rule file's text."""
    directory.mkdir(exist_ok=True)
    (directory / "rules.yaml").write_text(rules)
    files = []
    for number, sentence in enumerate(sentences):
        files.append(directory / f"{number}.yaml")
        files[-1].write_text(sentence.file("rules.yaml"))
    return tool("promtool", "test", "rules", *files)
