"""The settings of one route: bounds, defaults, checks and the policy."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from sidecar.config.bounds import GIB, KIB, Bounds
from sidecar.config.field_types import Ending, Methods, PathPattern, RouteName
from sidecar.config.routes import RoutePolicy

DAY_S = 86_400
HEARTBEAT_S = Bounds(0.05, 3600, "seconds", zero_is_off=True)
SEND_TIMEOUT_S = Bounds(0.05, DAY_S, "seconds")
EARLY_START_S = Bounds(0.05, 3600, "seconds", zero_is_off=True)
CONNECT_TIMEOUT_S = Bounds(0.05, 300, "seconds")
FIRST_BYTE_TIMEOUT_S = Bounds(0.05, DAY_S, "seconds", zero_is_off=True)
STALL_S = Bounds(0.05, DAY_S, "seconds", zero_is_off=True)
UPSTREAM_IDLE_S = Bounds(0.05, DAY_S, "seconds", zero_is_off=True)
LINGER_S = Bounds(0, DAY_S, "seconds")
RETAIN_S = Bounds(0, DAY_S, "seconds")
LOG_EVENTS_MAX = Bounds(1, 10_000_000)
LOG_BYTES_MAX = Bounds(4 * KIB, 16 * GIB, "bytes")

STALL_S_BY_KIND = {"answer": 30.0, "live": 0.0}
UPSTREAM_IDLE_S_BY_KIND = {"answer": 300.0, "live": 0.0}


def refused(setting: str, value: object, reason: str) -> PydanticCustomError:
    """Return the error of a check across settings."""
    return PydanticCustomError("refused", "{reason}", {"setting": setting, "value": value, "reason": reason})


class RouteSettings(BaseModel):
    """The options of one route in the configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: RouteName = Field(
        description="Name of the route: the value of the label `route` in every metric. The route named "
        "`default` also serves requests that match no other."
    )
    path: PathPattern = Field(
        default="/*", description="Requests that this route serves; `*` stands for any run of characters."
    )
    methods: Methods = Field(default=(), description="Methods that this route serves.")
    kind: Literal["answer", "live"] = Field(
        default="answer",
        description="`answer` is finite and has a complete log; `live` is endless and has a window.",
    )
    stamp: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether events get an `id`; `auto`: if the request accepts `text/event-stream`.",
    )
    complete_on: Ending = Field(
        default="auto", description="What completes an answer; `auto` detects the common LLM protocols."
    )
    heartbeat_s: Annotated[float, HEARTBEAT_S] = Field(
        default=10.0, description="Silence after which a client receives a heartbeat."
    )
    send_timeout_s: Annotated[float, SEND_TIMEOUT_S] = Field(
        default=30.0,
        description="Time without an accepted byte after which the sidecar closes a client's connection.",
    )
    early_start_s: Annotated[float, EARLY_START_S] = Field(
        default=0.0,
        description="Wait for the backend's head after which the sidecar sends 200 and heartbeats; "
        "later errors are events of the stream.",
    )
    connect_timeout_s: Annotated[float, CONNECT_TIMEOUT_S] = Field(
        default=5.0,
        description="Longest wait for a connection to the backend, with the lookup of its name.",
    )
    first_byte_timeout_s: Annotated[float, FIRST_BYTE_TIMEOUT_S] = Field(
        default=120.0, description="Longest wait for the head of the backend's response."
    )
    stall_s: Annotated[float | None, STALL_S] = Field(
        default=None,
        description="Silence of the backend after which the sidecar declares a stall. "
        "Default: 30 for `answer`, off for `live`.",
    )
    upstream_idle_s: Annotated[float | None, UPSTREAM_IDLE_S] = Field(
        default=None,
        description="Silence of the backend after which the sidecar gives up. Default: 300 for `answer`, "
        "off for `live`.",
    )
    upstream_resume: bool = Field(
        default=False,
        description="Whether to resume a broken backend connection with the backend's last event id; "
        "needs `methods: [GET]`.",
    )
    on_disconnect: Literal["linger", "continue", "cancel"] = Field(
        default="linger",
        description="When the last client has left: read for another `linger_s`, read to the end, or "
        "close the backend's connection.",
    )
    linger_s: Annotated[float, LINGER_S] = Field(
        default=60.0, description="How long the sidecar reads the backend for a client that has left."
    )
    retain_s: Annotated[float, RETAIN_S] = Field(
        default=300.0, description="How long a client can resume a finished stream."
    )
    log_events_max: Annotated[int, LOG_EVENTS_MAX] = Field(
        default=100_000, description="Events kept for one stream."
    )
    log_bytes_max: Annotated[int, LOG_BYTES_MAX] = Field(
        default=8 * 1024 * KIB, description="Bytes kept for one stream."
    )

    @property
    def stall(self) -> float:
        """Return the stall time in seconds, by kind where none is set; 0 is off."""
        return STALL_S_BY_KIND[self.kind] if self.stall_s is None else self.stall_s

    @property
    def upstream_idle(self) -> float:
        """Return the idle time in seconds, by kind where none is set; 0 is off."""
        return UPSTREAM_IDLE_S_BY_KIND[self.kind] if self.upstream_idle_s is None else self.upstream_idle_s

    @model_validator(mode="after")
    def _resume_only_what_can_be_asked_again(self) -> Self:
        if self.upstream_resume and self.methods != ("GET",):
            reason = "it needs methods: [GET], because only a GET can be repeated safely"
            raise refused("upstream_resume", self.upstream_resume, reason)
        return self

    @model_validator(mode="after")
    def _stall_before_giving_up(self) -> Self:
        if self.stall and self.upstream_idle and self.stall >= self.upstream_idle:
            reason = (
                f"it must be less than upstream_idle_s ({self.upstream_idle:g}), or the sidecar would "
                "give up the backend before it declares a stall"
            )
            raise refused("stall_s", self.stall, reason)
        return self

    @model_validator(mode="after")
    def _early_start_with_a_purpose(self) -> Self:
        if self.early_start_s and not self.heartbeat_s:
            reason = "it needs heartbeat_s, because heartbeats follow the early head"
            raise refused("early_start_s", self.early_start_s, reason)
        if self.early_start_s and 0 < self.first_byte_timeout_s <= self.early_start_s:
            reason = f"it must be less than first_byte_timeout_s ({self.first_byte_timeout_s:g})"
            raise refused("early_start_s", self.early_start_s, reason)
        return self

    def policy(self) -> RoutePolicy:
        """Return the policy of this route; its kind sets the default times."""
        times = {"stall_s": self.stall, "upstream_idle_s": self.upstream_idle}
        return RoutePolicy(**{**self.model_dump(), **times})
