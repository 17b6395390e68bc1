"""``sse-sidecar client`` prints the tags of the scripts that are served."""

import hashlib
import json
from base64 import b64encode

import pytest
from click.testing import CliRunner

from sidecar import __version__
from sidecar.cli.main import main
from tests.kit.relayed import relayed


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["client", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(*arguments: str) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in json.loads(printed("--json", *arguments))}


@pytest.mark.parametrize("name", ["client.js", "status.js"])
async def test_address_and_integrity_are_those_of_the_bytes_that_are_served(name: str) -> None:
    row = rows()[name]
    async with relayed() as (_, sc):
        served = await sc.client.fetch("GET", row["url"])
    assert served.status == 200
    assert served.header("Cache-Control") == "public, max-age=31536000, immutable"
    assert row["integrity"] == f"sha384-{b64encode(hashlib.sha384(served.raw).digest()).decode()}"
    assert row["version"] == __version__


@pytest.mark.parametrize("name", ["client.js", "status.js"])
def test_the_tag_can_be_pasted_as_it_is(name: str) -> None:
    row = rows()[name]
    tag = f'<script type="module" src="/_sse/{name}?v={__version__}" integrity="{row["integrity"]}"></script>'
    assert row["tag"] == tag
    assert f"{name}\n  {row['url']}\n  {tag}\n" in printed()


@pytest.mark.parametrize("base", ["https://api.example/internal/sse", "https://api.example/internal/sse/"])
def test_the_control_api_may_be_elsewhere(base: str) -> None:
    url = f"https://api.example/internal/sse/client.js?v={__version__}"
    assert rows("--base", base)["client.js"]["url"] == url


@pytest.mark.parametrize("base", ["https://api.example", "https://api.example/"])
def test_of_another_host_the_usual_path_is_meant(base: str) -> None:
    url = f"https://api.example/_sse/client.js?v={__version__}"
    assert rows("--base", base)["client.js"]["url"] == url
