"""Results of a run as it could have been: what reports are made of, where nothing has to run for it."""

import random
from dataclasses import replace

from sidecar.verify.results import (
    Band,
    Breach,
    LoadResult,
    Mark,
    Objective,
    PathUsed,
    Results,
    ScenarioResult,
    Shown,
    TargetResult,
    Timeline,
)

SCENARIOS = (
    (
        "slow",
        "Slow 3G",
        "At 400 kbit/s and 400 ms round trip, at least 95 % of the answers are complete.",
        0.95,
    ),
    ("stall", "Stall", "A silence is noticed, and within 5 s of that messages come again.", 1.0),
    ("loss", "10 % packet loss", "Every answer is complete after replay.", 1.0),
    ("handoff", "Network handoff", "A client whose address changes recovers by itself.", 1.0),
    ("reconnects", "Rapid reconnects", "Waits follow 1, 2, 4, 5 s, and the server survives the storm.", 1.0),
    ("experience", "User experience", "Whatever fails, the user is told: nothing is silent.", None),
)
WORSE = {"stall", "handoff", "experience", "loss"}
"""What a plain backend fails."""


def results(seed: int = 7) -> Results:
    """Return a run over the plain backend and the sidecar, and one load."""
    chance = random.Random(seed)
    return Results(
        version="1.2.0",
        command="sse-sidecar verify --compare direct,sidecar --seed 7",
        started="2026-01-09T08:30:00Z",
        took_s=312.4,
        seed=seed,
        quick=False,
        path=PathUsed(
            kind="userspace",
            pieces={
                "bandwidth": "token bucket of a TCP proxy (emulated)",
                "loss": "retransmission delays (emulated: no packet is lost)",
            },
        ),
        environment={"system": "Linux 6.1", "python": "3.11.2", "processors": "2"},
        targets=[
            _target(chance, "direct", "http://127.0.0.1:8000/api/chat"),
            _target(chance, "sidecar", "http://127.0.0.1:8080/api/chat"),
        ],
        loads=[load(chance)],
    )


def _target(chance: random.Random, name: str, url: str) -> TargetResult:
    return TargetResult(
        name=name,
        url=url,
        scenarios=[_scenario(chance, number, name) for number in range(1, len(SCENARIOS) + 1)],
    )


def _scenario(chance: random.Random, number: int, target: str) -> ScenarioResult:
    name, title, promise, completion_min = SCENARIOS[number - 1]
    good = _passed(chance, number, name, title, promise)
    good = replace(good, completion_min=completion_min)
    return good if target == "sidecar" or name not in WORSE else _failed(chance, good)


def _passed(chance: random.Random, number: int, name: str, title: str, promise: str) -> ScenarioResult:
    times = [round(1 + chance.expovariate(1.4), 3) for _ in range(40)] if number > 1 else []
    times = [min(each, 4.1) for each in times]
    return ScenarioResult(
        number=number,
        name=name,
        title=title,
        promise=promise,
        verdict="passed",
        reasons=[],
        not_checked=[],
        seed=7,
        users=20,
        took_s=41.25,
        streams=60,
        eligible=60,
        completed=60,
        completion=1.0,
        reconnects_s=times,
        reconnect_mean_s=round(sum(times) / len(times), 4) if times else None,
        reconnect_p95_s=sorted(times)[int(0.95 * len(times))] if times else None,
        gave_up=0,
        detections_s=[6.02, 6.11] if name == "stall" else [],
        recoveries_s=[1.31, 1.77] if name == "stall" else [],
        pauses_s=[[1.04, 2.11, 4.2, 5.3]] if name == "reconnects" else [[1.02]],
        lost=0,
        duplicates=0,
        dropped=3,
        silent=0,
        gaps=0,
        upstream_requests=60,
        breaches=[],
        shown=_shown(silent=False) if name == "experience" else [],
        timeline=_timeline(chance, recovers=True),
    )


def _failed(chance: random.Random, good: ScenarioResult) -> ScenarioResult:
    told = good.name == "experience"
    return replace(
        good,
        verdict="failed",
        reasons=[
            "Of 60 answers 23 were complete: 38.3 %, and 100 % were promised.",
            "412 messages never reached their user.",
        ]
        if not told
        else ["2 failures were silent: truncation, stall."],
        not_checked=["Requests at the backend: the target does not tell."],
        completed=23,
        completion=23 / 60,
        upstream_requests=None,
        lost=0 if told else 412,
        silent=2 if told else 0,
        gave_up=37,
        reconnects_s=[round(chance.uniform(0.8, 9), 3) for _ in range(12)],
        reconnect_mean_s=6.2731,
        reconnect_p95_s=14.049,
        breaches=[
            Breach(rule="loss", sentence=f"User {user} missed a message and was not told.")
            for user in range(9)
        ],
        shown=_shown(silent=True) if told else [],
        timeline=_timeline(chance, recovers=False),
    )


def _shown(*, silent: bool) -> list[Shown]:
    return [
        Shown(
            failure="reset in mid-answer",
            state="reconnecting",
            sentence="Connection lost.",
            after_s=0.01,
            silent=False,
        ),
        Shown(
            failure="clean end without a terminal",
            state="completed" if silent else "failed",
            sentence="" if silent else "The answer is incomplete. Try again.",
            after_s=0.0 if silent else 0.02,
            silent=silent,
        ),
    ]


def _timeline(chance: random.Random, *, recovers: bool) -> Timeline:
    before = [Mark(at_s=round(0.3 + n * 0.15, 2), kind="event") for n in range(30)]
    after = [Mark(at_s=round(13.2 + n * 0.05, 2), kind="event") for n in range(60)]
    marks = [
        Mark(at_s=0.0, kind="asked"),
        Mark(at_s=0.0, kind="state", what="connecting"),
        Mark(at_s=0.2, kind="answered", what="200"),
        Mark(at_s=0.2, kind="state", what="open"),
        *before,
        Mark(at_s=5.9, kind="heartbeat"),
        Mark(at_s=10.9, kind="state", what="stalled"),
        Mark(at_s=10.9, kind="lost", what="nothing for 6 s"),
        Mark(at_s=10.9, kind="state", what="reconnecting"),
    ]
    if recovers:
        marks += [
            Mark(at_s=12.0, kind="asked"),
            Mark(at_s=13.1, kind="answered", what="200"),
            Mark(at_s=13.1, kind="state", what="open"),
            *after,
            Mark(at_s=16.3, kind="end", what="completed"),
            Mark(at_s=16.3, kind="state", what="completed"),
        ]
    else:
        marks += [
            Mark(at_s=round(12 + chance.random(), 2), kind="asked"),
            Mark(at_s=15.0, kind="gap", what="1 to 4"),
            Mark(at_s=15.5, kind="state", what="failed"),
        ]
    return Timeline(
        marks=marks,
        bands=[
            Band(from_s=4.9, to_s=11.5, what="the path is silent"),
            Band(from_s=9.0, to_s=10.0, what="address changes"),
        ],
    )


def load(chance: random.Random) -> LoadResult:
    """Return what 100 people found."""
    return LoadResult(
        users=100,
        seed=7,
        took_s=66.2,
        streams=5120,
        eligible=4981,
        completed=4972,
        did={"asked": 5120, "lost the network": 611, "cancelled": 139, "backend reset": 24},
        reconnects_s=[round(min(1 + chance.expovariate(1.2), 5.6), 3) for _ in range(611)],
        objectives=[
            Objective(
                name="completion",
                asks=">= 99.5 %",
                by_clients=4972 / 4981,
                by_prometheus=4972 / 4981,
                held=True,
            ),
            Objective(
                name="reconnect, mean", asks="< 2.5 s", by_clients=1.7731, by_prometheus=1.7702, held=True
            ),
            Objective(
                name="reconnect, p95", asks="< 4.2 s", by_clients=3.8812, by_prometheus=None, held=True
            ),
            Objective(name="messages lost", asks="0", by_clients=0, by_prometheus=0, held=True),
            Objective(name="messages twice", asks="0", by_clients=0, by_prometheus=0, held=True),
            Objective(name="silent failures", asks="0", by_clients=0, by_prometheus=0, held=True),
        ],
        metrics={
            "sse_streams_finished_total": 5120,
            "sse_reconnect_duration_seconds p95": 3.9,
            "sse_messages_lost_total": 0,
        },
        differences=[],
        sidecar_rss_bytes=93_847_552,
        sidecar_cpu_s=18.31,
    )
