"""Write the dashboards and Grafana's provisioning, or check that they are fresh: `python -m dashboards`."""

import click

from dashboards.rendered import stale


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is stale.")
def main(*, check: bool) -> None:
    """Make dashboards/generated and dashboards/provisioning out of the catalogue and the objectives."""
    old = stale()
    if check and old:
        names = ", ".join(path.name for path in old)
        raise click.ClickException(f"stale: {names}; run `python -m dashboards`")
    for path, text in old.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        click.echo(f"wrote {path}")


if __name__ == "__main__":
    main()
