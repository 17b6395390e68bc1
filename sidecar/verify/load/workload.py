"""What a load is: how many people, what they talk to, and at which pace."""

from dataclasses import dataclass
from math import ceil
from statistics import mean

from sidecar.verify.load.crowd import LoadShare
from sidecar.verify.load.talk import TOKENS, Pace

USERS_PER_PROCESS = 250
EVENTS_PER_S_MAX = 600
"""How much all answers together bring in a second: with more users each answer is slower."""

INTERVAL_S_MIN = 0.1
STALL_S_MIN, STALL_INTERVALS = 2.0, 2.5
"""A backend that is silent for so long, and for so many intervals, stalls."""

CLIENT_STALL_S_MIN = 3.0
"""Silence that a client takes for a loss: three heartbeats, or more where thousands share few processors."""

STALL_USERS, ARRIVE_USERS = 200, 50
"""People for each second of that, and of the time within which all of them have come."""

ARRIVE_S_MIN = 3.0
ANSWER_S = 5.0
"""Of a load of a hundred: whose network breaks again and again is asked by the sidecar to wait longer."""

HEARTBEAT_S, LINGER_S_MIN, LINGER_STALLS, RETAIN_LINGERS = 1.0, 15.0, 5, 2
ROUTES = {"openai": "/v1/chat/completions", "claude": "/v1/messages", "ai-sdk": "/api/ai-sdk"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The number of users, and their streams or, if 0, seconds."""

    users: int
    seed: int
    streams: int = 0
    seconds: float = 0.0

    @property
    def pace(self) -> Pace:
        """How fast the backend talks."""
        interval_s = max(INTERVAL_S_MIN, self.users / EVENTS_PER_S_MAX)
        return Pace(interval_s, ceil(1.5 * max(STALL_S_MIN, STALL_INTERVALS * interval_s)))

    @property
    def client_stall_s(self) -> float:
        """Silence that a client takes for a loss."""
        return max(CLIENT_STALL_S_MIN, self.users / STALL_USERS)

    @property
    def calm(self) -> float:
        """Return the factor that makes network faults rarer for long answers."""
        return max(1.0, self.pace.interval_s * mean(TOKENS) / ANSWER_S)

    @property
    def linger_s(self) -> float:
        """Return how long the sidecar waits for a departed client."""
        return max(LINGER_S_MIN, LINGER_STALLS * self.client_stall_s)

    def settings(self) -> dict[str, object]:
        """Return the sidecar's settings: the defaults with short times."""
        stall_s = max(STALL_S_MIN, STALL_INTERVALS * self.pace.interval_s)
        quick = {
            "heartbeat_s": HEARTBEAT_S,
            "stall_s": stall_s,
            "upstream_idle_s": 3 * stall_s,
            "linger_s": self.linger_s,
            "retain_s": RETAIN_LINGERS * self.linger_s,
        }
        routes = [{"name": name, "path": path, "methods": ["POST"], **quick} for name, path in ROUTES.items()]
        return {"routes": routes}

    def parts(self, url: str) -> list[LoadShare]:
        """Split the people over processes."""
        count = ceil(self.users / USERS_PER_PROCESS)
        return [
            LoadShare(
                url=url,
                users=len(range(part, self.users, count)),
                part=part,
                parts=count,
                seed=self.seed,
                streams=len(range(part, self.streams, count)),
                seconds=self.seconds,
                pace=self.pace,
                stall_s=self.client_stall_s,
                arrive_s=max(ARRIVE_S_MIN, self.users / ARRIVE_USERS),
                calm=self.calm,
            )
            for part in range(count)
        ]
