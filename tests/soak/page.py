"""Makes docs/soak.md and its picture of a run's result: python -m tests.soak.page docs/soak.json."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.soak.measures import HOUR_S, MIB, WARM_UP_SHARE, warm
from tests.soak.schedule import ROWS
from tests.soak.soak import RESULT, SLOPE_MIB_PER_HOUR_MAX, SidecarFigures, SoakResult

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE, DATA = DOCS / "soak.md", DOCS / "images" / "soak-memory.svg", DOCS / "soak.json"
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 260, 56, 34, 16, 16
MINUTE_S = 60.0
WHAT = """\
A seed draws what goes wrong, when, and for whom: at the backend, on the way, with the sidecar's own
process, and with the people, who ask, are cut off, come back, stop and leave. Everybody records what they
got, the backend what it sent, and the records are judged: nothing missing without a gap that was told,
nothing twice, the same bytes in the same order, one end that is told and true, nobody else's stream, one
request to the backend. After each round nothing may be held for anybody, and the books of the metrics have
to balance. A sidecar that is ended and begun again has lost its streams, for it keeps them in memory: who
comes back is told so (404, 410, or a gap in a live feed), and never gets anything else for the rest of an
answer.
"""
HOW_MEASURED = """\
One of the two sidecars is ended and begun again, the other lives from the first round to the last. It is
measured between two rounds, when nothing is held for anybody; the first third of the run is warm-up, and
begins with rounds of twice as many visits.
"""
STEADY = "steady"
SVG_HEAD = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<title>Memory of the steady sidecar in MiB, over minutes</title>
<style>
svg {{ background: #fff }}
text {{ font: 12px sans-serif; fill: #333 }}
.grid {{ stroke: #ddd }}
circle {{ fill: #1f6feb }}
polyline {{ stroke: #d1242f; stroke-width: 2; fill: none }}
</style>"""


def page(result: SoakResult) -> str:
    """Return the page; every number in it is in the result."""
    return "\n".join([*_head(result), *_figures(result), *_faults(result), *_people(result), *_again(result)])


def _head(result: SoakResult) -> Iterator[str]:
    verdict = (
        "No invariant was broken." if not result.broken else f"**Broken promises: {len(result.broken)}.**"
    )
    yield "# Soak: random misfortunes"
    yield ""
    yield WHAT
    yield f"{verdict} Made on {result.made_at} by"
    yield ""
    yield f"    {result.command}"
    yield ""
    yield f"on {result.machine}. This page is made from [soak.json](soak.json) alone:"
    yield "`python -m tests.soak.page docs/soak.json`."
    yield ""
    if result.broken:
        yield from (f"* {sentence}" for sentence in result.broken)
        yield ""


def _figures(result: SoakResult) -> Iterator[str]:
    lives = sum(figures.lives for figures in result.sidecars.values())
    yield "## Figures"
    yield ""
    yield "| What | How much |"
    yield "| --- | --- |"
    yield f"| Time | {result.seconds / MINUTE_S:.1f} min |"
    yield f"| Seeds | {len(result.seeds)}: {result.seeds[0]} to {result.seeds[-1]} |"
    yield f"| Rounds | {result.rounds} |"
    yield f"| Faults | {sum(result.faults.values())} of {len(result.faults)} kinds |"
    yield f"| Visits of people | {result.answers} |"
    yield f"| Streams that the backend began | {result.streams} |"
    yield f"| Lives of the two sidecars | {lives} |"
    yield f"| Streams carried on after a broken connection | {result.recovered_count} |"
    yield f"| Until then, raw clients: median, 95th percentile | {_recovered(result)} |"
    yield f"| Broken promises | {len(result.broken)} |"
    yield ""
    steady = result.sidecars[STEADY]
    yield from _memory(steady)
    yield f"![Memory of the sidecar that is never ended](images/{PICTURE.name})"
    yield ""


def _recovered(result: SoakResult) -> str:
    return f"{result.recovered_p50_s:.2f} s, {result.recovered_p95_s:.2f} s (the faults' own length is in it)"


def _memory(steady: SidecarFigures) -> Iterator[str]:
    slope, behind = steady.slope, warm(steady.samples)
    yield HOW_MEASURED
    yield "| What the steady sidecar holds | First behind the warm-up | Last |"
    yield "| --- | --- | --- |"
    first, last = behind[0], behind[-1]
    yield f"| Memory | {first.rss_bytes / MIB:.1f} MiB | {last.rss_bytes / MIB:.1f} MiB |"
    for name, one in (("Descriptors", "files"), ("Tasks", "tasks"), ("Threads", "threads")):
        yield f"| {name} | {getattr(first, one)} | {getattr(last, one)} |"
    yield ""
    low, high = slope.mib_per_hour - slope.confidence, slope.mib_per_hour + slope.confidence
    yield f"Memory changes by {slope.mib_per_hour:+.2f} MiB an hour (95 % confidence: {low:+.2f} to"
    yield f"{high:+.2f}; least squares, {slope.samples} samples);"
    yield f"at most {SLOPE_MIB_PER_HOUR_MAX:g} is promised."
    yield ""


def _faults(result: SoakResult) -> Iterator[str]:
    yield "## What went wrong"
    yield ""
    yield "Rows are those of [the table of faults](faults.md)."
    yield ""
    yield "| Fault | Rows | Times |"
    yield "| --- | --- | --- |"
    for kind, rows in ROWS.items():
        yield f"| {kind} | {', '.join(map(str, rows))} | {result.faults.get(kind, 0)} |"
    yield ""


def _people(result: SoakResult) -> Iterator[str]:
    yield "## What came of it"
    yield ""
    yield "| What | Times |"
    yield "| --- | --- |"
    for name, times in result.counts.items():
        yield f"| {name} | {times} |"
    yield ""


def _again(result: SoakResult) -> Iterator[str]:
    yield "## Do it yourself"
    yield ""
    yield "    make soak MINUTES=30"
    yield ""
    yield "A broken round is played again, ever shorter, until what remains can be told as a story. It names"
    yield "the command that plays it again, such as"
    yield f"`python -m tests.soak --seed {result.seeds[0]} --round 0`."
    yield ""


@dataclass(frozen=True)
class Chart:
    """Where things stand in the picture: minutes to the right, MiB upwards."""

    last_s: float
    low_mib: int
    high_mib: int

    def x(self, at_s: float) -> float:
        """Return the place of a moment."""
        return LEFT + (WIDTH - LEFT - RIGHT) * at_s / self.last_s

    def y(self, mib: float) -> float:
        """Return the place of a size."""
        return (
            HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (mib - self.low_mib) / (self.high_mib - self.low_mib)
        )


def picture(steady: SidecarFigures) -> str:
    """Draw memory over time as SVG: the samples, the line through those that count, the warm-up in grey."""
    samples = steady.samples
    sizes = [sample.rss_bytes / MIB for sample in samples]
    chart = Chart(samples[-1].at_s, int(min(sizes)) - 1, int(max(sizes)) + 2)
    grey = chart.x(samples[-1].at_s * WARM_UP_SHARE) - LEFT
    parts = [
        SVG_HEAD,
        f'<rect x="{LEFT}" y="{TOP}" width="{grey:.1f}" height="{HEIGHT - BOTTOM - TOP}" fill="#f0f0f0"/>',
        f'<text x="{LEFT + 6}" y="{TOP + 14}">warm-up</text>',
        *_sizes(chart),
        *_minutes(chart),
        *(
            f'<circle cx="{chart.x(s.at_s):.1f}" cy="{chart.y(s.rss_bytes / MIB):.1f}" r="3"/>'
            for s in samples
        ),
        _line(chart, steady),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _sizes(chart: Chart) -> Iterator[str]:
    for mib in range(chart.low_mib, chart.high_mib + 1, max(1, (chart.high_mib - chart.low_mib) // 5)):
        yield f'<path d="M{LEFT} {chart.y(mib):.1f}H{WIDTH - RIGHT}" class="grid"/>'
        yield f'<text x="{LEFT - 8}" y="{chart.y(mib) + 4:.1f}" text-anchor="end">{mib}</text>'


def _minutes(chart: Chart) -> Iterator[str]:
    last = int(chart.last_s / MINUTE_S)
    for minute in range(0, last + 1, max(1, last // 6)):
        x = chart.x(minute * MINUTE_S)
        yield f'<text x="{x:.1f}" y="{HEIGHT - 14}" text-anchor="middle">{minute}</text>'
    yield f'<text x="{WIDTH / 2}" y="{HEIGHT - 1}" text-anchor="middle">minutes; MiB</text>'


def _line(chart: Chart, steady: SidecarFigures) -> str:
    """Draw what was fitted: it goes through the mean."""
    behind = warm(steady.samples)
    mean_mib = sum(sample.rss_bytes for sample in behind) / len(behind) / MIB
    mean_s = sum(sample.at_s for sample in behind) / len(behind)
    ends = []
    for at_s in (behind[0].at_s, behind[-1].at_s):
        mib = mean_mib + steady.slope.mib_per_hour * (at_s - mean_s) / HOUR_S
        ends.append(f"{chart.x(at_s):.1f},{chart.y(mib):.1f}")
    return f'<polyline points="{" ".join(ends)}"/>'


def main(file: Path) -> None:
    """Write the page and its picture, and keep the data beside them."""
    result = RESULT.validate_json(file.read_bytes())
    PAGE.write_text(page(result))
    PICTURE.write_text(picture(result.sidecars[STEADY]))
    DATA.write_bytes(RESULT.dump_json(result, indent=1) + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
