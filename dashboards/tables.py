"""The columns of a table panel: which label or query each shows, under which name, and in which form."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.sdk import dashboard, dashboard_model, table


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column. ``field`` is a label or, of several queries, ``Value #<ref id>``; ``width`` in pixels."""

    field: str
    name: str
    unit: str | None = None
    decimals: int | None = None
    thresholds: dashboard.ThresholdsConfig | None = None
    colours: tuple[tuple[str, str], ...] = ()
    """Values and the colours of their text."""

    links: tuple[tuple[str, str], ...] = ()
    """Titles and addresses that a value leads to."""

    width: int | None = None

    def properties(self) -> list[dashboard_model.DynamicConfigValue]:
        """Return what differs from the panel's defaults."""
        found: dict[str, object] = {
            "noValue": "-",
            "unit": self.unit,
            "decimals": self.decimals,
            "custom.width": self.width,
            "links": [{"title": title, "url": url} for title, url in self.links] or None,
        }
        if self.thresholds:
            found |= {"thresholds": self.thresholds.build(), "custom.cellOptions": {"type": "color-text"}}
        if self.colours:
            options = {value: {"color": colour, "index": n} for n, (value, colour) in enumerate(self.colours)}
            found |= {
                "mappings": [{"type": "value", "options": options}],
                "custom.cellOptions": {"type": "color-text"},
            }
        kept = {key: value for key, value in found.items() if value is not None}
        return [dashboard_model.DynamicConfigValue(id_val=key, value=value) for key, value in kept.items()]


def with_columns(panel: table.Panel, shown: Sequence[TableColumn], hidden: Sequence[str] = ()) -> table.Panel:
    """Show these columns from left to right, and not the hidden fields."""
    order = {
        "excludeByName": dict.fromkeys(("Time", *hidden), True),
        "indexByName": {column.field: place for place, column in enumerate(shown)},
        "renameByName": {column.field: column.name for column in shown},
    }
    panel = panel.with_transformation(dashboard_model.DataTransformerConfig(id_val="organize", options=order))
    for column in shown:
        panel = panel.override_by_name(column.name, column.properties())
    return panel
