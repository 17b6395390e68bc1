"""The route table: the policy of each request."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["answer", "live"]
Stamp = Literal["auto", "always", "never"]
OnDisconnect = Literal["linger", "continue", "cancel"]

DEFAULT_ROUTE = "default"
CANARY_ROUTE = "__canary__"
"""The name of the canary's route. No objective and no number of the users' traffic counts it."""

ROUTES_MAX = 64
"""Routes in one configuration: each is a label value of every metric, so the series stay bounded."""


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """The options of one route.

    Times are in seconds, sizes in bytes. 0 turns a time limit off.
    """

    name: str = DEFAULT_ROUTE
    path: str = "/*"
    methods: tuple[str, ...] = ()
    kind: Kind = "answer"
    stamp: Stamp = "auto"
    complete_on: str = "auto"
    heartbeat_s: float = 10.0
    send_timeout_s: float = 30.0
    early_start_s: float = 0.0
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 120.0
    stall_s: float = 30.0
    upstream_idle_s: float = 300.0
    upstream_resume: bool = False
    on_disconnect: OnDisconnect = "linger"
    linger_s: float = 60.0
    retain_s: float = 300.0
    log_events_max: int = 100_000
    log_bytes_max: int = 8 * 1024 * 1024
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the path pattern: ``*`` matches any characters."""
        literal = ".*".join(re.escape(part) for part in self.path.split("*"))
        object.__setattr__(self, "pattern", re.compile(literal, re.DOTALL))

    def matches(self, method: str, path: str) -> bool:
        """Return whether a request with this encoded path is of this route."""
        return (not self.methods or method in self.methods) and self.pattern.fullmatch(path) is not None


class RouteTable:
    """The routes in the order of the configuration.

    The first match wins. Without a match, it is the default route.
    """

    def __init__(self, routes: Sequence[RoutePolicy] = ()) -> None:
        self._routes = tuple(routes)
        named_default = next((route for route in routes if route.name == DEFAULT_ROUTE), None)
        self.default = named_default or RoutePolicy()

    @property
    def names(self) -> tuple[str, ...]:
        """Every route name that can occur as a metric label."""
        return tuple(dict.fromkeys([*(route.name for route in self._routes), self.default.name]))

    def match(self, method: str, path: str) -> RoutePolicy:
        """Return the policy of a request."""
        for route in self._routes:
            if route.matches(method, path):
                return route
        return self.default
