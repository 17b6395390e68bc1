"""The parts of every plot: scale, shapes and axis.

Places across are per cent of the plot's width, heights are pixels. So a plot fills any width, and its text
stays as large as the page's: nothing is scaled.
"""

from dataclasses import dataclass
from itertools import count

from sidecar.verify.report.html.markup import Markup, element, together

TICKS_MAX = 8
AXIS_PX = 22
ASIDE_PX = 5
TEXT_DOWN_PX = 4
"""From the middle of a line of text to its base line."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From 0 to ``most``, across the plot."""

    most: float

    def at(self, value: float) -> str:
        """Return the place of a value, within the plot."""
        return f"{self.share(value):.2f}%"

    def share(self, value: float) -> float:
        """Return the place of a value in per cent."""
        return 100 * min(max(value / self.most, 0.0), 1.0)

    def across(self, begin: float, end: float) -> str:
        """Return the width from one value to another."""
        return f"{max(self.share(end) - self.share(begin), 0.0):.2f}%"

    @property
    def ticks(self) -> list[float]:
        """Return round values, at most TICKS_MAX and the zero."""
        for power in count(-3):
            for digit in (1, 2, 5):
                step = digit * 10**power
                if self.most / step <= TICKS_MAX:
                    return [round(step * n, 3) for n in range(int(self.most / step + 1e-9) + 1)]
        raise AssertionError


def plot(height: float, says: str, *shapes: str, class_: str = "plot") -> Markup:
    """Return a picture of ``height`` pixels with a text alternative."""
    return element("svg", *shapes, class_=class_, width="100%", height=height, role="img", aria_label=says)


def bar(scale: Scale, ends: tuple[float, float], *, top: float, height: float, class_: str) -> Markup:
    """Return a bar from one value to another."""
    return element(
        "rect", x=scale.at(ends[0]), y=top, width=scale.across(*ends), height=height, class_=class_
    )


def stroke(scale: Scale, value: float, *, top: float, height: float, class_: str) -> Markup:
    """Return a vertical line at a value."""
    place = scale.at(value)
    return element("line", x1=place, x2=place, y1=top, y2=top + height, class_=class_)


def dot(scale: Scale, value: float, *, middle: float, radius: float, class_: str) -> Markup:
    """Return a dot at a value."""
    return element("circle", cx=scale.at(value), cy=middle, r=radius, class_=class_)


def words(text: str, scale: Scale, value: float, *, middle: float, class_: str | None = None) -> Markup:
    """Return text after a value, or before it near the plot's edge."""
    before = scale.share(value) > 50  # noqa: PLR2004 - on which half of the plot it stands
    return element(
        "text",
        text,
        x=scale.at(value),
        y=middle + TEXT_DOWN_PX,
        dx=-ASIDE_PX if before else ASIDE_PX,
        text_anchor="end" if before else "start",
        class_=class_,
    )


def grid(scale: Scale, height: float) -> Markup:
    """Return a faint line at each tick."""
    return together(*(stroke(scale, tick, top=0, height=height, class_="grid") for tick in scale.ticks))


def axis(scale: Scale, unit: str) -> Markup:
    """Return a scale with its figures, as a plot of its own below others."""
    last = len(scale.ticks) - 1
    figures = (
        _figure(scale, tick, f"{tick:g}{unit}" if index in {0, last} else f"{tick:g}", index == 0)
        for index, tick in enumerate(scale.ticks)
    )
    line = element("line", x1="0", x2="100%", y1="1", y2="1", class_="axis")
    return element("svg", line, *figures, class_="plot", width="100%", height=AXIS_PX, aria_hidden="true")


def _figure(scale: Scale, tick: float, text: str, is_first: bool) -> Markup:  # noqa: FBT001
    near_end = scale.share(tick) > 97  # noqa: PLR2004 - its text would be cut
    anchor = "start" if is_first else "end" if near_end else "middle"
    return element("text", text, x=scale.at(tick), y=AXIS_PX - 6, text_anchor=anchor, class_="tick")
