"""Write prometheus.yaml and the table of faults from the code.

``python -m compose.reference``
"""

from pathlib import Path

import click
import yaml

from compose.faults import FAULTS
from compose.prometheus import Scraping
from sidecar.cli.reference import MARKED, table
from sidecar.observability.slo import SLO

ROOT = Path(__file__).parent
CONFIG, README = ROOT / "prometheus.yaml", ROOT / "README.md"
HEAD = f"""\
# A Prometheus that watches sidecars. Made by `python -m compose.reference`: change that, not this.
#
# Put your addresses into targets, and the place of alerts/generated/rules.yaml into rule_files.
# The job has to be called {SLO.job}: rules and dashboards select by that name. Start Prometheus with
# --enable-feature=exemplar-storage, so that a dashboard's point leads to the stream that made it.
"""
ADMIN_ADDRESS = "127.0.0.1:9464"
ALERTMANAGER_ADDRESS = "127.0.0.1:9093"
RULES = "../alerts/generated/rules.yaml"


def config() -> str:
    """Return prometheus.yaml."""
    scraping = Scraping(
        jobs={SLO.job: [ADMIN_ADDRESS]}, rules={RULES: ""}, alertmanagers=[ALERTMANAGER_ADDRESS]
    )
    return HEAD + yaml.safe_dump(scraping.config(), sort_keys=False)


def readme() -> str:
    """Return README.md with the faults that there are."""
    rows = [(f"`{f.name}`", f.what, f"[{f.alert}](../runbooks/{f.alert}.md)") for f in FAULTS.values()]
    faults = table(("FAULT", "what goes wrong", "alert and runbook"), rows)
    return MARKED.sub(lambda found: f"{found[1]}{faults}\n<!-- end -->", README.read_text())


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is stale.")
def main(*, check: bool) -> None:
    """Write the generated parts of compose/, or check that they are fresh."""
    files = {CONFIG: config(), README: readme()}
    stale = {file: text for file, text in files.items() if not file.exists() or file.read_text() != text}
    if check and stale:
        names = ", ".join(file.name for file in stale)
        raise click.ClickException(
            f"stale: {names}. Run `python -m compose.reference` and commit what it writes."
        )
    for file, text in stale.items():
        file.write_text(text)
        click.echo(f"wrote {file}")


if __name__ == "__main__":
    main()
