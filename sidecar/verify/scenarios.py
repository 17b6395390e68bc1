"""The six scenarios, as data."""

from dataclasses import dataclass, replace
from typing import Literal

from sidecar.faultnet.path import FINE, Weather

SLOW_3G = Weather(rate_bytes=400_000 / 8, delay_s=0.2)
LOSSY = Weather(loss=0.1)
SILENT = Weather(silent=True)
FLAPPING = Weather(delay_s=0.4)
"""Slow enough that no connection brings a message before it is cut again."""

CUT_EVERY_S = 0.5

FAILS_WITHIN_S = 10.0
"""How soon after a failure a user has to be told."""

RECOVERY_S = 5.0
"""How soon after a silence was noticed messages have to come again."""

COMPLETION_OURS = 0.995


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A change of the path at a time after every reader began.

    The time is ``at_s`` plus ``stalls`` stall times of the client.

    Where an earlier turn was late, this one is as late.
    """

    at_s: float
    stalls: float = 0.0
    does: Weather | Literal["cut", "hand_off"]
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioPart:
    """People who ask the same, and what happens to them."""

    name: str
    users: int | None = None
    """None: as many as the run has."""

    messages: int = 40
    """In a quick run; twice as many in a whole one."""

    interval_ms: int = 100
    fault: str = ""
    """What the demo backend is asked to do wrong, as in its query."""

    ends: Literal["complete", "fails", "silence"] = "complete"
    """How it has to end: whole; with a failure that is told; not at all, which is told."""

    life: Literal["usual", "returns", "second device"] = "usual"
    """``returns``: leaves, and comes back when nothing is kept any more. ``second device``: joins late."""

    small: bool = False
    """Asks where the log is small and soon forgotten."""

    refused: bool = False
    """Asks where nobody listens."""

    weather: Weather = FINE
    turns: tuple[Turn, ...] = ()
    attempts_max: int = 10
    leave_after_s: float | None = None
    needs: Literal["any", "own", "sidecar"] = "any"
    bound_s: float = 60.0
    """Whoever is not through by then has failed; longer silences of the client are added."""

    follows_backoff: bool = False
    recovers: bool = False
    """Silences have to be noticed, and be over soon after."""

    @property
    def on_path(self) -> bool:
        """Return whether the path is part of the test."""
        return bool(self.turns) or self.weather != FINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario; the parts of a round run side by side.

    At most one of them is on the path.
    """

    number: int
    name: str
    title: str
    promise: str
    occasion: str
    """When it was that something went wrong, for a sentence."""

    completion_min: float
    completion_min_ours: float
    rounds: tuple[tuple[ScenarioPart, ...], ...]


_FAILING = ScenarioPart(
    name="",
    users=2,
    messages=24,
    interval_ms=60,
    ends="fails",
    attempts_max=2,
    leave_after_s=14.0,
    needs="own",
)
"""Two people whose backend fails."""


SLOW = Scenario(
    number=1,
    name="slow-3g",
    title="Slow 3G",
    promise="400 kbit/s and a round trip of 400 ms: at least 95 % of the answers are complete, "
    "behind the sidecar 99.5 %.",
    occasion="on a slow network",
    completion_min=0.95,
    completion_min_ours=COMPLETION_OURS,
    rounds=((ScenarioPart(name="slow network", weather=SLOW_3G, messages=50),),),
)

STALL = Scenario(
    number=2,
    name="stall",
    title="Stall",
    promise="A silence of the path, or of the backend, is noticed, and within 5 s messages come again.",
    occasion="after the silence",
    completion_min=1.0,
    completion_min_ours=1.0,
    rounds=(
        (
            ScenarioPart(
                name="silent path",
                messages=60,
                turns=(
                    Turn(at_s=1.0, does=SILENT, what="the path is silent"),
                    Turn(at_s=2.0, stalls=1.0, does=FINE, what="the path works"),
                ),
                recovers=True,
            ),
            ScenarioPart(
                name="silent backend",
                fault="fault=stall&at=15&stall_s=4",
                messages=30,
                needs="own",
                leave_after_s=14.0,
                recovers=True,
            ),
        ),
    ),
)

LOSS = Scenario(
    number=3,
    name="packet-loss",
    title="10 % packet loss",
    promise="Of ten packets one is lost, and once the connection: every answer is complete after replay.",
    occasion="after a connection was lost",
    completion_min=1.0,
    completion_min_ours=1.0,
    rounds=(
        (
            ScenarioPart(
                name="packet loss",
                messages=50,
                weather=LOSSY,
                turns=(Turn(at_s=2.0, does="cut", what="all connections are cut"),),
            ),
        ),
    ),
)

HANDOFF = Scenario(
    number=4,
    name="network-handoff",
    title="Network handoff",
    promise="The client's address changes, its old path goes dark without FIN or RST: it recovers by itself.",
    occasion="after the network handoff",
    completion_min=1.0,
    completion_min_ours=1.0,
    rounds=(
        (
            ScenarioPart(
                name="handoff",
                messages=60,
                turns=(Turn(at_s=1.5, does="hand_off", what="another address, the old path is dark"),),
                recovers=True,
            ),
        ),
    ),
)


def _flaps(from_s: float, to_s: float) -> tuple[Turn, ...]:
    count = int((to_s - from_s) / CUT_EVERY_S)
    cuts = (Turn(at_s=from_s + n * CUT_EVERY_S, does="cut", what="cut") for n in range(count))
    flapping = Turn(at_s=from_s, does=FLAPPING, what="every connection is cut at once")
    return (flapping, *cuts, Turn(at_s=to_s, does=FINE, what="the path works"))


RAPID = Scenario(
    number=5,
    name="rapid-reconnects",
    title="Rapid reconnects",
    promise="Clients whose connections break again and again wait 1, 2, 4, 5 s, and up to 10 % more; "
    "the server survives the storm, and every answer is complete.",
    occasion="after the connections had been cut",
    completion_min=1.0,
    completion_min_ours=1.0,
    rounds=(
        (
            ScenarioPart(
                name="flapping",
                messages=60,
                turns=_flaps(1.0, 12.0),
                follows_backoff=True,
            ),
        ),
        (
            ScenarioPart(
                name="storm",
                messages=50,
                turns=tuple(
                    Turn(at_s=at_s, does="cut", what="all connections are cut") for at_s in (0.6, 2.2, 3.8)
                ),
                follows_backoff=True,
            ),
        ),
    ),
)

EXPERIENCE = Scenario(
    number=6,
    name="user-experience",
    title="User experience",
    promise="Whatever fails, the user is told within 10 s: no failure is silent.",
    occasion="after the failure",
    completion_min=1.0,
    completion_min_ours=1.0,
    rounds=(
        (
            replace(_FAILING, name="connection refused", refused=True),
            replace(_FAILING, name="reset in mid answer", fault="fault=reset&at=8"),
            replace(_FAILING, name="cut in mid event", fault="fault=truncate&at=8"),
            replace(_FAILING, name="clean end before the end", fault="fault=no_terminal"),
            replace(_FAILING, name="error event in a 200", fault="fault=error&at=8"),
            replace(_FAILING, name="backend silent for good", fault="fault=stall&at=8"),
            replace(_FAILING, name="status 500", fault="fault=status&status=500"),
            replace(_FAILING, name="wrong content type", fault="fault=wrong_type"),
            replace(
                _FAILING,
                name="expired position",
                life="returns",
                small=True,
                needs="sidecar",
            ),
            ScenarioPart(
                name="gap",
                users=2,
                messages=40,
                interval_ms=80,
                life="second device",
                small=True,
                needs="sidecar",
            ),
            ScenarioPart(
                name="silent path for good",
                users=2,
                messages=100,
                ends="silence",
                turns=(Turn(at_s=1.0, does=SILENT, what="the path is silent"),),
                leave_after_s=6.0,
            ),
        ),
    ),
)

SCENARIOS = (SLOW, STALL, LOSS, HANDOFF, RAPID, EXPERIENCE)
