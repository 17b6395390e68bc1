"""The plot of one stream: faults, connections, messages, states."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from sidecar.verify.report.figures import seconds
from sidecar.verify.report.html.markup import Markup, element, together
from sidecar.verify.report.plots.plot import Scale, axis, bar, dot, grid, plot, stroke, words
from sidecar.verify.results import Band, Mark, Timeline

LEAST_S = 0.1
ROOM = 1.03
LANE_PX = 22
FAULT_LINE_PX = 20
FAULT_LINES_MAX = 4
FAULT_TEXT_SHARE = 30
"""Of the width: what the words of a fault may need before the next one goes into a line of its own."""

NAMED_SHARE = 3
"""Of the width in per cent: a state shorter than this is drawn without its name."""

NEAR_SHARE = 0.25
"""Of the width in per cent: messages nearer to each other than this are drawn as one bar."""

OPEN = ("answered",)
CLOSED = ("lost", "end", "asked")


def lasting_s(timelines: Iterable[Timeline]) -> float:
    """Return the common end of the scale, after the last mark."""
    marks = (mark.at_s for each in timelines for mark in each.marks)
    bands = (band.to_s for each in timelines for band in each.bands)
    return max(chain(marks, bands), default=0.0) * ROOM + LEAST_S


def timeline_plot(timeline: Timeline, most_s: float) -> Markup:
    """Return the lanes of one stream and the scale below."""
    marks = sorted(timeline.marks, key=lambda mark: mark.at_s)
    scale = Scale(most_s)
    shades = together(grid(scale, LANE_PX), *(_shade(band, scale) for band in timeline.bands))
    lanes = [
        ("faults", _faults(timeline.bands, scale)),
        ("connection", _connections(marks, scale, shades)),
        ("messages", _messages(marks, scale, shades)),
        ("shown", _states(marks, scale, shades)),
        ("", axis(scale, " s")),
    ]
    return together(*(_lane(name, shapes) for name, shapes in lanes))


def _shade(band: Band, scale: Scale) -> Markup:
    return bar(scale, (band.from_s, band.to_s), top=0, height=LANE_PX, class_="shade")


def _lane(name: str, shapes: Markup) -> Markup:
    return element("div", element("p", name, class_="name"), shapes, class_="lane")


def _faults(bands: Sequence[Band], scale: Scale) -> Markup:
    lines = list(_lines(bands, scale))
    height = FAULT_LINE_PX * (max(lines, default=0) + 1)
    before = [None, *(band.what for band in bands)]
    shapes = (
        _fault(band, line, scale, named=band.what != last)
        for band, line, last in zip(bands, lines, before, strict=False)
    )
    told = [f"{band.what} from {seconds(band.from_s)} to {seconds(band.to_s)}" for band in bands]
    return plot(height, f"Faults: {'; '.join(told) or 'none'}.", grid(scale, height), *shapes)


def _fault(band: Band, line: int, scale: Scale, *, named: bool) -> Markup:
    top = line * FAULT_LINE_PX
    ends = (band.from_s, max(band.to_s, band.from_s + scale.most * NEAR_SHARE / 100))
    shape = bar(scale, ends, top=top + 1, height=FAULT_LINE_PX - 2, class_="fault")
    name = words(band.what, scale, band.from_s, middle=top + FAULT_LINE_PX / 2) if named else None
    return together(shape, name)


def _lines(bands: Sequence[Band], scale: Scale) -> Iterator[int]:
    """Yield the line of each fault: that of the same text, or a free one."""
    free = [0.0] * FAULT_LINES_MAX
    line, before = 0, None
    for band in bands:
        at = scale.share(band.from_s)
        if band.what != before:
            line = next((n for n, end in enumerate(free) if end <= at), FAULT_LINES_MAX - 1)
            free[line] = at + FAULT_TEXT_SHARE
        free[line], before = max(scale.share(band.to_s), free[line]), band.what
        yield line


def _connections(marks: Sequence[Mark], scale: Scale, behind: Markup) -> Markup:
    spans = list(_spans(marks, scale.most))
    bars = (bar(scale, (begin, end), top=7, height=8, class_="open") for begin, end in spans)
    asked = (
        dot(scale, mark.at_s, middle=11, radius=4, class_="asked") for mark in marks if mark.kind == "asked"
    )
    lost = (
        stroke(scale, mark.at_s, top=2, height=18, class_="lost") for mark in marks if mark.kind == "lost"
    )
    tries = sum(mark.kind == "asked" for mark in marks)
    return plot(LANE_PX, f"Connections: {tries} made.", behind, *bars, *asked, *lost)


def _spans(marks: Sequence[Mark], last: float) -> Iterator[tuple[float, float]]:
    """Yield from when to when a connection was open."""
    begin: float | None = None
    for mark in marks:
        if begin is not None and mark.kind in CLOSED:
            yield begin, mark.at_s
            begin = None
        if mark.kind in OPEN:
            begin = mark.at_s
    if begin is not None:
        yield begin, last


def _messages(marks: Sequence[Mark], scale: Scale, behind: Markup) -> Markup:
    beats = (
        stroke(scale, mark.at_s, top=14, height=5, class_="beat")
        for mark in marks
        if mark.kind == "heartbeat"
    )
    runs = (
        bar(scale, (begin, max(end, begin + scale.most * NEAR_SHARE / 100)), top=4, height=14, class_="event")
        for begin, end in _runs([mark.at_s for mark in marks if mark.kind == "event"], scale)
    )
    gaps = (dot(scale, mark.at_s, middle=11, radius=5, class_="gap") for mark in marks if mark.kind == "gap")
    events = sum(mark.kind == "event" for mark in marks)
    return plot(LANE_PX, f"Messages: {events}.", behind, *beats, *runs, *gaps)


def _runs(times: Sequence[float], scale: Scale) -> Iterator[tuple[float, float]]:
    """Yield messages that are too close together as one span each."""
    begin = end = None
    for at in times:
        if begin is not None and end is not None and scale.share(at) - scale.share(end) > 2 * NEAR_SHARE:
            yield begin, end
            begin = at
        begin = at if begin is None else begin
        end = at
    if begin is not None and end is not None:
        yield begin, end


def _states(marks: Sequence[Mark], scale: Scale, behind: Markup) -> Markup:
    states = [mark for mark in marks if mark.kind == "state"]
    ends = [*(mark.at_s for mark in states[1:]), scale.most]
    shapes = (_state(mark, end, scale) for mark, end in zip(states, ends, strict=False))
    told = [f"{mark.what} at {seconds(mark.at_s)}" for mark in states]
    return plot(LANE_PX, f"Shown: {'; '.join(told) or 'nothing'}.", behind, *shapes)


def _state(mark: Mark, end: float, scale: Scale) -> Markup:
    name = mark.what.partition(":")[0].strip() or "open"
    title = element("title", f"{mark.what} from {seconds(mark.at_s)}")
    shape = bar(scale, (mark.at_s, end), top=3, height=16, class_=f"state {name.replace(' ', '-')}")
    return element("g", title, shape, _inside(name, scale, mark.at_s, end))


def _inside(name: str, scale: Scale, begin: float, end: float) -> Markup:
    """Return a name within its bar: what does not fit is cut."""
    if scale.share(end) - scale.share(begin) < NAMED_SHARE:
        return Markup()
    text = element("text", name, x=5, y=15, class_="inside")
    return element("svg", text, x=scale.at(begin), width=scale.across(begin, end), height=LANE_PX)
