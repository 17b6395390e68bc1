"""The head of an HTTP/1.1 message as it stood on the wire: nothing normalised, nothing lost.

Text is Latin-1 throughout, so that each byte is one character and every byte can be asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

HEAD_BYTES_MAX = 1024 * 1024

FieldLines: TypeAlias = Iterable[tuple[str, str]]


class Fields(list[tuple[str, str]]):
    """Header fields in the order and the case of the wire, duplicates included; looked up in any case."""

    def get(self, name: str) -> str | None:
        """Return the first value of a field, None if there is none."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[str]:
        """Return every value of a field, in order."""
        return [value for key, value in self if key.lower() == name.lower()]

    def tokens(self, name: str) -> list[str]:
        """Return the members of a comma-separated field, in lower case (RFC 9110, 5.6.1)."""
        members = ",".join(self.all(name)).lower().split(",")
        return [member.strip() for member in members if member.strip()]


@dataclass(frozen=True)
class MessageHead:
    """A start line and its fields; ``raw`` is every byte up to and including the blank line."""

    raw: bytes
    start_line: str = field(init=False)
    fields: Fields = field(init=False)

    def __post_init__(self) -> None:
        start_line, *lines = self.raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        object.__setattr__(self, "start_line", start_line)
        object.__setattr__(self, "fields", Fields(_field(line) for line in lines))

    @property
    def status(self) -> int:
        """The status code of a response; ValueError if the start line is not a status line."""
        version, _, rest = self.start_line.partition(" ")
        code = rest[:3]
        if not version.startswith("HTTP/") or not code.isdigit() or rest[3:4] not in {"", " "}:
            raise ValueError(f"not a status line: {self.start_line!r}")
        return int(code)


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip(" \t")


def split_head(data: bytes) -> tuple[MessageHead | None, bytes]:
    """Take a head off the front of what has arrived: (None, data) while it is not all there.

    ValueError if it is longer than ``HEAD_BYTES_MAX``.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 and len(data) > HEAD_BYTES_MAX:
        raise ValueError(f"no end of the head within {HEAD_BYTES_MAX} bytes")
    if end < 0:
        return None, data
    return MessageHead(data[: end + 4]), data[end + 4 :]


def write_head(start_line: str, fields: FieldLines) -> bytes:
    """Put a head into bytes exactly as given: nothing is added, checked or reordered."""
    lines = [start_line, *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
