"""``sse-sidecar evidence``: one file for the next engineer."""

import io
import json
import os
import platform
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from sidecar import __version__
from sidecar.cli.admin_client import ANSWER_BYTES_MAX, AdminClient, AdminError
from sidecar.cli.streams import LIMIT_MAX, admin_options
from sidecar.config.load import FILE_VARIABLE, ConfigError, load
from sidecar.observability.labels import Outcome
from sidecar.observability.redaction import redact_text
from sidecar.observability.slo import NOT_ELIGIBLE

TIMELINES_MAX = 50
"""Streams whose timeline is taken along: those that failed first, then the newest."""

BUNDLE_BYTES_MAX = 3 * ANSWER_BYTES_MAX
"""All parts together, before compression; what is beyond it is left out, and the summary says so."""

MODE = 0o600
RESOURCES = {
    "readyz.json": "/readyz",
    "metrics.txt": "/metrics",
    "streams.json": f"/streams?limit={LIMIT_MAX}",
}
FINE = frozenset({None, Outcome.COMPLETED, *NOT_ELIGIBLE})

Row = dict[str, Any]


@click.command()
@admin_options
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    envvar=FILE_VARIABLE,
    show_envvar=True,
    help="The YAML file that the sidecar was started with.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Where to.  [default: sse-evidence-TIME.tar.gz]"
)
def evidence(*, admin: str, token: str | None, file: Path | None, output: Path | None) -> None:
    """Collect the state of a running sidecar in one file.

    It has no secrets and no messages, and its size is bounded.

    Works on one that does not answer too: the bundle then says so, and holds the settings.
    """
    try:
        bundle = Bundle(AdminClient(admin, token))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--admin") from None
    bundle.collect(file)
    path = output or Path(time.strftime("sse-evidence-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime()))
    try:
        _write(path, bundle.packed())
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror or error}") from None
    for missing in bundle.missing:
        click.echo(f"missing: {missing}", err=True)
    click.echo(f"wrote {path}: {len(bundle.parts)} parts, {bundle.size} bytes before compression")


class Bundle:
    """The parts of a bundle by file name, and the missing ones."""

    def __init__(self, client: AdminClient) -> None:
        self.parts: dict[str, bytes] = {}
        self.missing: list[str] = []
        self._client = client

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(map(len, self.parts.values()))

    def collect(self, file: Path | None) -> None:
        """Ask for everything; what does not come is noted, never an error."""
        self.add("config.json", _json(_settings(file)))
        for name, target in RESOURCES.items():
            self._fetch(name, target)
        for stream in self._worth_a_look():
            found = self._fetch(f"streams/{stream}.json", f"/streams/{quote(stream, safe='')}")
            if not found:
                break
        self.add("summary.json", _json(self._summary()))

    def add(self, name: str, content: bytes) -> None:
        """Take a part, unless the bundle would become too large by it."""
        if self.size + len(content) > BUNDLE_BYTES_MAX:
            self.missing.append(f"{name}: left out, the bundle would be above {BUNDLE_BYTES_MAX} bytes")
        else:
            self.parts[name] = content

    def packed(self) -> bytes:
        """Return the bundle as a tar.gz."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for name, content in self.parts.items():
                member = tarfile.TarInfo(f"sse-evidence/{name}")
                member.size, member.mode, member.mtime = len(content), MODE, int(time.time())
                archive.addfile(member, io.BytesIO(content))
        return buffer.getvalue()

    def _fetch(self, name: str, target: str) -> bool:
        """Add a resource; return whether to continue with the next one."""
        try:
            content = self._client.read(target)
        except AdminError as error:
            self.missing.append(f"{name}: {error}")
            return error.status is not None
        if len(content) == ANSWER_BYTES_MAX:
            self.missing.append(f"{name}: cut at {ANSWER_BYTES_MAX} bytes")
        self.add(name, content)
        return True

    def _worth_a_look(self) -> Iterator[str]:
        """Yield the ids of the streams that may explain what is wrong."""
        try:
            rows: list[Row] = json.loads(self.parts.get("streams.json", b"[]"))
        except ValueError:  # cut, or another program's listener
            return
        failed = [row for row in rows if row.get("outcome") not in FINE]
        others = [row for row in rows if row.get("outcome") in FINE]
        for row in (failed + others)[:TIMELINES_MAX]:
            yield str(row["id"])

    def _summary(self) -> Row:
        return {
            "taken_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "tool_version": __version__,
            "python": platform.python_version(),
            "system": platform.platform(),
            "parts": sorted(self.parts),
            "missing": self.missing,
        }


def _settings(file: Path | None) -> Row:
    """Return the settings in force; of a secret only whether it is set."""
    try:
        settings = load(file, os.environ, {})
    except ConfigError as error:
        return {"faults": [str(fault) for fault in error.faults]}
    shown: Row = json.loads(redact_text(settings.model_dump_json()))
    return shown


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read.

    Raises FileExistsError and never overwrites a file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
