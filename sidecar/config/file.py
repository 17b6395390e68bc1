"""The configuration file: one mapping in YAML."""

import re
from collections.abc import Hashable
from pathlib import Path

import yaml

from sidecar.config.messages import ConfigError, Problem, clean

FILE_BYTES_MAX = 1024 * 1024


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002 - the signature is PyYAML's
        """Build a mapping, or raise ConstructorError for a duplicate key."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            known = (key.tag, str(key.value))
            if known in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, "a key stands twice", key.start_mark)
            seen.add(known)
        return super().construct_mapping(node, deep=deep)


def read_file(file: Path) -> dict[object, object]:
    """Return the unchecked settings of a file, or raise ConfigError."""
    content = _parse(file, _read(file))
    if content is None:  # an empty file, or comments only
        return {}
    if not isinstance(content, dict):
        raise ConfigError([Problem(str(file), "it must hold a mapping, with one `setting: value` per line")])
    return content


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise ConfigError([Problem(clean(file), f"it cannot be read: {reason}")]) from None
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError([Problem(str(file), f"it is larger than {FILE_BYTES_MAX} bytes")])
    return content


def _parse(file: Path, content: bytes) -> object:
    try:
        return yaml.load(content, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise ConfigError([Problem(_place(file, error), f"it is no YAML: {_problem(error)}")]) from None
    except yaml.reader.ReaderError as error:
        problem = f"it is no YAML: byte {error.position} is no UTF-8 text"
        raise ConfigError([Problem(str(file), problem)]) from None
    except RecursionError:
        raise ConfigError([Problem(str(file), "it is nested too deeply")]) from None
    except (ValueError, LookupError, AttributeError, TypeError):
        # PyYAML lets these out for a scalar that does not fit its tag, such as 2024-99-99 or !!int "".
        raise ConfigError([Problem(str(file), "it holds a value that does not fit its YAML type")]) from None


def _place(file: Path, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)


def _problem(error: yaml.MarkedYAMLError) -> str:
    """Return PyYAML's reason without its quotations.

    In `secret: *hunter2`, the quoted alias is the secret.
    """
    quoted = re.sub(r"'(?:[^']{5,}|[^'\\]{2,})'", "'…'", error.problem or "syntax error")
    return clean(quoted)
