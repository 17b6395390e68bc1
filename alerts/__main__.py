"""Write the generated files, or check that they are fresh.

``python -m alerts [--check]``
"""

from pathlib import Path

import click

from alerts import alertmanager, rules, tables

HERE = Path(__file__).parent
GENERATED = HERE / "generated"
README = "README.md"


def files(root: Path = HERE) -> dict[str, str]:
    """Return the content of every generated file and page, by path."""
    made = {"generated/rules.yaml": rules.render(), "generated/alertmanager.yaml": alertmanager.render()}
    page = _read(root / README)
    return made if page is None else made | {README: tables.render(page)}


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is stale.")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), default=HERE, help="Directory.")
def main(*, check: bool, root: Path) -> None:
    """Write the generated files and the tables of alerts/README.md.

    With ``--check``, only check that they are fresh.
    """
    stale = {name: text for name, text in files(root).items() if _read(root / name) != text}
    if check and stale:
        raise click.ClickException(
            f"stale in {root}: {', '.join(stale)}. Run `python -m alerts` and commit what it writes."
        )
    for name, text in stale.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        click.echo(f"wrote {root / name}")


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    main()
