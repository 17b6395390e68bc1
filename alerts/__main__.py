"""Write the generated files, or check that they are what would be written: `python -m alerts [--check]`."""

from pathlib import Path

import click

from alerts import alertmanager, rules

GENERATED = Path(__file__).parent / "generated"


def files() -> dict[str, str]:
    """Return the content of every generated file, by name."""
    return {"rules.yaml": rules.render(), "alertmanager.yaml": alertmanager.render()}


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is stale.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=GENERATED,
    help="Directory to write to.",
)
def main(*, check: bool, into: Path) -> None:
    """Write alerts/generated, or check that it is fresh."""
    stale = {name: text for name, text in files().items() if _read(into / name) != text}
    if check and stale:
        raise click.ClickException(
            f"stale in {into}: {', '.join(stale)}. Run `python -m alerts` and commit what it writes."
        )
    for name, text in stale.items():
        into.mkdir(parents=True, exist_ok=True)
        (into / name).write_text(text)
        click.echo(f"wrote {into / name}")


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    main()
