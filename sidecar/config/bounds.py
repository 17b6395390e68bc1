"""The bounds of numeric settings and their written forms."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
SIZE_UNITS = {"": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}
SIZE_PATTERN = r"(\d{1,18})\s*(|KiB|MiB|GiB)"


@dataclass(frozen=True, slots=True)
class Bounds:
    """A closed range; ``zero_is_off`` adds 0, ``off`` and ``false``.

    Used as annotation metadata; ``unit`` is ``seconds``, ``bytes`` or empty for a plain count.
    """

    low: float
    high: float
    unit: str = ""
    zero_is_off: bool = False

    @property
    def allowed(self) -> str:
        """Return the allowed values as text for the docs and for messages."""
        off = "0 (off), or " if self.zero_is_off else ""
        if self.unit == "bytes":
            return f"{off}{size_text(int(self.low))} to {size_text(int(self.high))}"
        return f"{off}{self.low:.15g} to {self.high:.15g}{self.unit and ' '}{self.unit}"

    def read(self, value: object) -> object:
        """Convert the written forms to numbers; YAML reads ``off`` as false."""
        if value is False or (isinstance(value, str) and value.strip().lower() in {"off", "false"}):
            value = 0 if self.zero_is_off else True
        if isinstance(value, bool):
            raise ValueError(self.allowed)  # noqa: TRY004 - a TypeError would leave the validation
        if self.unit == "bytes" and isinstance(value, str):
            return self._read_size(value)
        return value

    def check(self, value: float | None) -> float | None:
        """Return a number within the bounds, or raise ValueError."""
        if value is None or (self.zero_is_off and value == 0) or self.low <= value <= self.high:
            return value
        raise ValueError(self.allowed)

    def _read_size(self, text: str) -> int:
        match = re.fullmatch(SIZE_PATTERN, text.strip(), re.ASCII)
        if match is None:
            raise ValueError(self.allowed)
        return int(match[1]) * SIZE_UNITS[match[2]]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        checked = core_schema.no_info_after_validator_function(self.check, handler(source))
        return core_schema.no_info_before_validator_function(self.read, checked)

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        forms = [{**form, **self._limits(form)} for form in _alternatives(handler(core))]
        if self.unit == "bytes":
            forms.append({"type": "string", "pattern": f"^{SIZE_PATTERN}$"})
        if self.zero_is_off:
            forms.append({"enum": [0, False, "off"]})
        return forms[0] if len(forms) == 1 else {"anyOf": forms}

    def _limits(self, form: dict[str, Any]) -> dict[str, float]:
        return {} if form.get("type") == "null" else {"minimum": self.low, "maximum": self.high}


def _alternatives(schema: JsonSchemaValue) -> list[dict[str, Any]]:
    """Return the forms of a value: two if it may be null, else one."""
    forms: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return forms


def size_text(size: int) -> str:
    """Write a number of bytes in the largest unit that divides it."""
    for unit, factor in reversed(SIZE_UNITS.items()):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit or 'bytes'}"
    return f"{size} bytes"
