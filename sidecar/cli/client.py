"""``sse-sidecar client``: the script tags of the browser client."""

import json
from urllib.parse import urlsplit

import click

from sidecar import __version__
from sidecar.proxy.client_scripts import SCRIPTS, VERSION_PARAMETER, ClientScript

BASE_DEFAULT = "/_sse"


@click.command()
@click.option(
    "--base",
    default=BASE_DEFAULT,
    show_default=True,
    help="Where the page finds the control API: its path (reserved_prefix), https://host, or both.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def client(*, base: str, as_json: bool) -> None:
    """Print address, version, integrity and script tag of each script.

    The tags are good for this version only: a browser refuses other bytes. Print them again after an upgrade.
    """
    base = base.rstrip("/")
    if urlsplit(base).netloc and not urlsplit(base).path:
        base += BASE_DEFAULT
    rows = [row(SCRIPTS[name], base) for name in sorted(SCRIPTS)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    click.echo(
        "\n\n".join("\n".join((each["name"], f"  {each['url']}", f"  {each['tag']}")) for each in rows)
    )


def row(script: ClientScript, base: str) -> dict[str, str]:
    """Return what a page needs to load a script.

    ``base`` is the URL of the control API without a final slash.
    """
    url = f"{base}/{script.name}?{VERSION_PARAMETER.decode()}"
    return {
        "name": script.name,
        "version": __version__,
        "url": url,
        "integrity": script.integrity,
        "tag": f'<script type="module" src="{url}" integrity="{script.integrity}"></script>',
    }
