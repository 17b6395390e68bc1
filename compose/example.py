"""compose/prometheus.yaml, a configuration to copy: `python -m compose.example [--check]`."""

from pathlib import Path

import click
import yaml

from compose.prometheus import Scraping
from sidecar.slo import SLO

FILE = Path(__file__).with_name("prometheus.yaml")
HEAD = f"""\
# A Prometheus that watches sidecars. Made by `python -m compose.example`: change that, not this.
#
# Copy alerts/generated/rules.yaml beside it and name it in rule_files; put your addresses into targets.
# The job has to be called {SLO.job}: rules and dashboards select by that name. Start Prometheus with
# --enable-feature=exemplar-storage, so that a dashboard's point leads to the stream that made it.
"""
ADMIN_ADDRESS = "127.0.0.1:9464"
ALERTMANAGER_ADDRESS = "127.0.0.1:9093"
RULES = "../alerts/generated/rules.yaml"


def render() -> str:
    """Return the file."""
    scraping = Scraping(
        jobs={SLO.job: [ADMIN_ADDRESS]}, rules={RULES: ""}, alertmanagers=[ALERTMANAGER_ADDRESS]
    )
    return HEAD + yaml.safe_dump(scraping.config(), sort_keys=False)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if the file is stale.")
def main(*, check: bool) -> None:
    """Write compose/prometheus.yaml, or check that it is fresh."""
    if FILE.exists() and FILE.read_text() == render():
        return
    if check:
        raise click.ClickException(
            f"{FILE} is stale: run `python -m compose.example` and commit what it writes"
        )
    FILE.write_text(render())
    click.echo(f"wrote {FILE}")


if __name__ == "__main__":
    main()
