"""HTML and SVG as text; content is escaped unless it is markup."""

from html import escape

Part = str | None


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, *parts: Part, **attributes: str | float | None) -> Markup:
    """Return an element; ``class_`` is class.

    Other underscores become hyphens. None is left out.
    """
    words = "".join(_attribute(key, value) for key, value in attributes.items())
    return Markup(f"<{name}{words}>{together(*parts)}</{name}>")


def together(*parts: Part) -> Markup:
    """Return parts one after the other."""
    return Markup("".join(_escaped(part) for part in parts))


def _escaped(part: Part) -> str:
    if part is None:
        return ""
    return part if isinstance(part, Markup) else escape(part, quote=False)


def _attribute(key: str, value: str | float | None) -> str:
    if value is None:
        return ""
    return f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
