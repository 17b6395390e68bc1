"""The settings of the process: bounds, defaults and checks."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from sidecar.config.bounds import GIB, KIB, MIB, Bounds
from sidecar.config.field_types import (
    AccessToken,
    Address,
    Allowed,
    BaseUrl,
    MaybeBaseUrl,
    MaybeUrl,
    Origins,
    Principal,
    ReservedPrefix,
    SecretKey,
    parse_address,
)
from sidecar.config.route_settings import RouteSettings, refused
from sidecar.config.routes import ROUTES_MAX, RoutePolicy, RouteTable

DRAIN_S = Bounds(0, 3600, "seconds")
STREAMS_MAX = Bounds(1, 1_000_000)
STREAMS_PER_PRINCIPAL_MAX = Bounds(1, 1_000_000)
LOG_BYTES_TOTAL_MAX = Bounds(MIB, 1024 * GIB, "bytes")
SUBSCRIBERS_PER_STREAM_MAX = Bounds(1, 1_000_000)
HEADER_BYTES_MAX = Bounds(KIB, 16 * MIB, "bytes")
IDEMPOTENCY_BODY_BYTES_MAX = Bounds(KIB, 64 * MIB, "bytes")
CANARY_INTERVAL_S = Bounds(0.05, 3600, "seconds", zero_is_off=True)


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


class Settings(BaseModel):
    """The configuration of one sidecar process."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    upstream: BaseUrl = Field(description="The backend that receives the requests.")
    listen: Address = Field(
        default="127.0.0.1:8080", description="Address for clients. In a container: `0.0.0.0:8080`."
    )
    admin_listen: Address = Field(
        default="127.0.0.1:9464", description="Address of metrics, health checks and the stream list."
    )
    admin_token: AccessToken = Field(
        default=None, description="Bearer token that the admin listener requires. None: it requires no token."
    )
    reserved_prefix: ReservedPrefix = Field(
        default="/_sse", description="Path of the control API; requests below it never reach the backend."
    )
    secret: SecretKey = Field(
        default=None,
        description="Key that signs event ids. None: a new key, so a restart invalidates all ids.",
    )
    retiring_secret: SecretKey = Field(
        default=None, description="The previous key. The sidecar still accepts the ids that it signed."
    )
    principal: Principal = Field(
        default=("header:authorization",),
        description="What identifies a stream's user; `capability`: its event id. `jwt:` needs `auth_check`.",
    )
    auth_check: MaybeUrl = Field(
        default=None, description="URL that confirms the login before a client joins a stream; 2xx is yes."
    )
    allowed_origins: Origins = Field(
        default=(), description="Origins of other sites whose pages may cancel streams and read errors."
    )
    drain_s: Annotated[float, DRAIN_S] = Field(
        default=25.0,
        description="How long streams may continue after SIGTERM. Keep it below the grace period.",
    )
    streams_max: Annotated[int, STREAMS_MAX] = Field(default=10_000, description="Streams held at once.")
    streams_per_principal_max: Annotated[int, STREAMS_PER_PRINCIPAL_MAX] = Field(
        default=1000, description="Streams held at once for one principal."
    )
    log_bytes_total_max: Annotated[int, LOG_BYTES_TOTAL_MAX] = Field(
        default=256 * MIB, description="Bytes of all replay logs together."
    )
    subscribers_per_stream_max: Annotated[int, SUBSCRIBERS_PER_STREAM_MAX] = Field(
        default=5000, description="Connections that may read one stream at once."
    )
    header_bytes_max: Annotated[int, HEADER_BYTES_MAX] = Field(
        default=64 * KIB, description="Largest head of a backend's response."
    )
    idempotency_body_bytes_max: Annotated[int, IDEMPOTENCY_BODY_BYTES_MAX] = Field(
        default=MIB, description="Largest request body that an `Idempotency-Key` can cover."
    )
    canary_interval_s: Annotated[float, CANARY_INTERVAL_S] = Field(
        default=60.0,
        description="How often the sidecar sends a known stream through itself and compares it.",
    )
    canary_url: MaybeBaseUrl = Field(
        default=None,
        description="URL of this instance for the canary, to test a proxy in front too. It must lead to this "
        "instance: another one answers 404, which fires an alert. The first canary runs after one interval, "
        "when a balancer knows that this instance is ready. None: the public listener.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        default="info", description="Least severe log lines to write."
    )
    log_format: Annotated[Literal["json", "console"], BeforeValidator(_lower)] = Field(
        default="json", description="One JSON object per line, or text for a terminal."
    )
    routes: Annotated[tuple[RouteSettings, ...], Allowed(f"up to {ROUTES_MAX} routes")] = Field(
        default=(),
        description="Policies by method and path; the first that matches wins. Only in the file.",
        max_length=ROUTES_MAX,
    )

    @property
    def listen_address(self) -> tuple[str, int]:
        """Return host and port of the public listener; port 0 is any free one."""
        return parse_address(self.listen)

    @property
    def admin_address(self) -> tuple[str, int]:
        """Return host and port of the admin listener; port 0 is any free one."""
        return parse_address(self.admin_listen)

    def route_table(self) -> RouteTable:
        """Return the policies of the routes in their order."""
        return RouteTable([route.policy() for route in self.routes])

    @model_validator(mode="after")
    def _two_listeners(self) -> Self:
        if self.listen_address == self.admin_address and self.listen_address[1]:
            raise refused(
                "admin_listen", self.admin_listen, "it must differ from listen: each needs its own port"
            )
        return self

    @model_validator(mode="after")
    def _keys_in_use(self) -> Self:
        if self.retiring_secret is None:
            return self
        if self.secret is None:
            raise refused("retiring_secret", SecretStr(""), "it needs secret, the key that signs new ids")
        if self.secret == self.retiring_secret:
            raise refused("retiring_secret", SecretStr(""), "it must differ from secret")
        return self

    @model_validator(mode="after")
    def _claims_are_checked(self) -> Self:
        claims = [entry for entry in self.principal if entry.startswith("jwt:")]
        if claims and self.auth_check is None:
            reason = "jwt inputs need auth_check, because the sidecar verifies no signature"
            raise refused("principal", claims[0], reason)
        return self

    @model_validator(mode="after")
    def _routes_are_told_apart(self) -> Self:
        for at, route in enumerate(self.routes):
            earlier = self.routes[:at]
            if route.name in {other.name for other in earlier}:
                raise refused(f"routes[{at}].name", route.name, "a route before it has the same name")
            catch_all = next((other for other in earlier if other.path == "/*" and not other.methods), None)
            if catch_all:
                reason = f"route {catch_all.name} before it takes every request; move that one to the end"
                raise refused(f"routes[{at}].path", route.path, reason)
            if f"{route.path}/".startswith(f"{self.reserved_prefix}/"):
                reason = f"it is below reserved_prefix ({self.reserved_prefix}), which is never forwarded"
                raise refused(f"routes[{at}].path", route.path, reason)
        return self

    @model_validator(mode="after")
    def _one_stream_fits(self) -> Self:
        default = RoutePolicy()
        named = {route.name: route.log_bytes_max for route in self.routes}
        largest = max({default.name: default.log_bytes_max, **named}.values())
        if largest > self.log_bytes_total_max:
            reason = f"it must be at least the largest log_bytes_max, {largest} bytes"
            raise refused("log_bytes_total_max", self.log_bytes_total_max, reason)
        return self
