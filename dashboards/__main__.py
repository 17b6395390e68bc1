"""Write the dashboards and Grafana's provisioning, or check that they are fresh: `python -m dashboards`."""

from pathlib import Path

import click

from dashboards.rendered import HOME, stale


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is stale.")
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), default=HOME, help="Directory to write to."
)
def main(*, check: bool, into: Path) -> None:
    """Make the dashboards and the provisioning out of the catalogue and the objectives."""
    old = stale(into)
    if check and old:
        names = ", ".join(str(path.relative_to(into)) for path in old)
        raise click.ClickException(f"stale in {into}: {names}; run `python -m dashboards` and commit it")
    for path, text in old.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        click.echo(f"wrote {path}")


if __name__ == "__main__":
    main()
