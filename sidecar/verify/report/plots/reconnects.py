"""The plot of reconnect times, with a line at five seconds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from sidecar.observability.slo import SLO
from sidecar.verify.report.comparison import Comparison, ComparisonRow
from sidecar.verify.report.html.markup import Markup, element, together
from sidecar.verify.report.plots.plot import Scale, axis, bar, grid, plot, stroke, words
from sidecar.verify.results import LoadResult

BIN_S = 0.25
SHOWN_S = 6.0
SHOWN_S_MAX = 30.0
HEIGHT_PX = 42
LEAST_PX = 3
NAME_PX = 12


@dataclass(frozen=True, slots=True)
class Waited:
    """The reconnect times of a scenario or a load, in seconds."""

    label: str
    class_: str
    times: Sequence[float]

    @property
    def late(self) -> int:
        """Return how many took longer than the objective allows."""
        return sum(each > SLO.reconnect_s for each in self.times)

    @property
    def sentence(self) -> str:
        """Say how many there were, and how many of them late."""
        if not self.times:
            return "no reconnect"
        return f"{len(self.times):,} reconnects, {self.late:,} above {SLO.reconnect_s:g} s"


def reconnects_plot(comparison: Comparison) -> Markup:
    """Return histograms on one scale: scenarios by column, then loads."""
    rows = [(f"{row.number}. {row.title}", _of_row(comparison, row)) for row in comparison.rows]
    rows += [(f"{load.users:,} users", [_of_load(load)]) for load in comparison.loads]
    most = max((s for _, row in rows for each in row for s in each.times), default=0.0)
    scale = Scale(min(max(SHOWN_S, ceil(most)), SHOWN_S_MAX))
    lanes = (_lane(name, row, scale) for name, row in rows if any(each.times for each in row))
    return together(*lanes, element("div", element("p", class_="name"), axis(scale, " s"), class_="lane"))


def _of_row(comparison: Comparison, row: ComparisonRow) -> list[Waited]:
    cells = zip(comparison.columns, row.cells, strict=True)
    return [
        Waited(column.label, f"c{index % 6}", cell.reconnects_s)
        for index, (column, cell) in enumerate(cells)
        if cell
    ]


def _of_load(load: LoadResult) -> Waited:
    return Waited("all", "c4", load.reconnects_s)


def _lane(name: str, row: Sequence[Waited], scale: Scale) -> Markup:
    said = (element("span", f"{each.label}: {each.sentence}", class_="quiet") for each in row)
    plots = (_histogram(each, scale) for each in row)
    return element("div", element("p", name, *said, class_="name"), element("div", *plots), class_="lane")


def _histogram(each: Waited, scale: Scale) -> Markup:
    bins = Counter(int(min(s, scale.most - BIN_S / 2) / BIN_S) for s in each.times)
    highest = max(bins.values(), default=1)
    bars = (_bar(each, scale, number, found / highest) for number, found in sorted(bins.items()))
    line = stroke(scale, SLO.reconnect_s, top=0, height=HEIGHT_PX, class_="limit")
    label = words(f"{SLO.reconnect_s:g} s", scale, SLO.reconnect_s, middle=NAME_PX / 2, class_="limit")
    return plot(
        HEIGHT_PX, f"Reconnects of {each.label}: {each.sentence}.", grid(scale, HEIGHT_PX), *bars, line, label
    )


def _bar(each: Waited, scale: Scale, number: int, share: float) -> Markup:
    begin = number * BIN_S
    height = max(LEAST_PX, share * (HEIGHT_PX - NAME_PX))
    late = begin >= SLO.reconnect_s
    return bar(
        scale,
        (begin + BIN_S * 0.06, begin + BIN_S * 0.94),
        top=HEIGHT_PX - height,
        height=height,
        class_="late" if late else each.class_,
    )
