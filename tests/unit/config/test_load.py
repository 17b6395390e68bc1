"""A configuration is valid, or refused with every reason and no secret."""

import json
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.config.load import ConfigError, RouteSettings, Settings, load, schema, with_setting_flags
from sidecar.config.messages import ABSENT_SETTINGS
from sidecar.config.routes import RoutePolicy
from sidecar.config.table import SETTINGS

UPSTREAM = {"upstream": "http://127.0.0.1:8000"}
ONE_SECRET = "hunter2hunter2hunter2hunter2hunter2!"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        file = tmp_path / "sidecar.yaml"
        file.write_text(text)
        return file

    return to_file


def _faults(
    file: Path | None, flags: Mapping[str, object] = UPSTREAM, environ: Mapping[str, str] | None = None
) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(file, environ or {}, flags)
    assert refused.value.__cause__ is None
    return str(refused.value).split("\n")


def _with(**values: object) -> Settings:
    return load(None, {}, {**UPSTREAM, **values})


def _route(**values: object) -> dict[str, object]:
    return {"name": "chat", **values}


def test_the_backend_is_all_that_must_be_said() -> None:
    found = load(None, {}, UPSTREAM)
    assert (found.upstream, found.listen_address) == ("http://127.0.0.1:8000", ("127.0.0.1", 8080))
    assert (found.admin_address, found.reserved_prefix) == (("127.0.0.1", 9464), "/_sse")
    assert (found.principal, found.secret, found.auth_check) == (("header:authorization",), None, None)
    assert (found.drain_s, found.streams_max) == (25.0, 10_000)
    assert (found.streams_per_principal_max, found.log_bytes_total_max) == (1000, 268_435_456)
    assert (found.subscribers_per_stream_max, found.header_bytes_max) == (5000, 65_536)
    assert (found.idempotency_body_bytes_max, found.log_level, found.log_format) == (
        1_048_576,
        "info",
        "json",
    )
    assert found.route_table().default == RoutePolicy()


def test_a_backend_that_is_not_named_is_missed() -> None:
    allowed = "an http:// or https:// URL with a host, without user, query and fragment"
    assert _faults(None, {}) == [f"upstream: missing; allowed: {allowed}"]


def test_flags_win_over_the_environment_and_that_over_the_file(write: Write) -> None:
    file = write("upstream: http://file\ndrain_s: 1\nstreams_max: 1\nlog_level: debug\n")
    found = load(file, {"SSE_SIDECAR_DRAIN_S": "2", "SSE_SIDECAR_STREAMS_MAX": "2"}, {"drain_s": "3"})
    assert (found.drain_s, found.streams_max, found.log_level) == (3.0, 2, "debug")


def test_an_empty_variable_and_an_absent_flag_set_nothing(write: Write) -> None:
    found = load(
        write("upstream: http://file\n"), {"SSE_SIDECAR_SECRET": ""}, {"drain_s": None, "principal": ()}
    )
    assert (found.secret, found.drain_s, found.principal) == (None, 25.0, ("header:authorization",))


def test_every_setting_but_the_routes_can_come_from_the_environment() -> None:
    assert [row.name for row in SETTINGS if not row.env] == ["routes"]
    environ = {row.env: row.default for row in SETTINGS if row.default}
    assert load(None, {**environ, "SSE_SIDECAR_UPSTREAM": "http://h"}, {}) == load(
        None, {}, {"upstream": "http://h"}
    )


def test_every_setting_but_the_routes_is_a_flag() -> None:
    @click.command()
    @with_setting_flags
    def serve(**flags: object) -> None:
        click.echo(load(None, {}, flags).model_dump_json())

    arguments = [part for row in SETTINGS if row.default for part in (row.flag, row.default)]
    result = CliRunner().invoke(serve, ["--upstream", "http://h", *arguments])
    assert json.loads(result.output) == json.loads(_with(upstream="http://h").model_dump_json())
    assert "--streams-per-principal-max" in CliRunner().invoke(serve, ["--help"]).output


def test_a_fault_names_where_the_value_came_from() -> None:
    assert _faults(None, UPSTREAM, {"SSE_SIDECAR_DRAIN_S": "soon"}) == [
        "drain_s: got soon from SSE_SIDECAR_DRAIN_S; allowed: 0 to 3600 seconds"
    ]
    assert _faults(None, {**UPSTREAM, "streams_max": "0"}) == [
        "streams_max: got 0 from --streams-max; allowed: 1 to 1000000"
    ]


def test_all_faults_are_told_at_once_each_on_its_line(write: Write) -> None:
    text = (
        "drain_s: -1\nroutes:\n  - {name: a, linger: 3}\n  - {name: b, retain_s: long, kind: feed}\n  - 7\n"
    )
    assert _faults(write(text)) == [
        "drain_s: got -1; allowed: 0 to 3600 seconds",
        "routes[0].linger: unknown setting; did you mean linger_s?",
        "routes[1].kind: got feed; allowed: answer or live",
        "routes[1].retain_s: got long; allowed: 0 to 86400 seconds",
        "routes[2]: got 7; allowed: a mapping of settings",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("drian_s: 3", "drian_s: unknown setting; did you mean drain_s?"),
        ("zzz: 3", "zzz: unknown setting"),
        ("linger_s: 3", "linger_s: unknown setting here; it belongs to a route, below routes:"),
        (
            "routes: [{name: a, drain_s: 3}]",
            "routes[0].drain_s: unknown setting here; it belongs to the top level",
        ),
        ("3: 4", "3: unknown setting"),
        (
            "listen: {a: b}",
            (
                "listen: got a mapping; allowed: host:port with a port from 0 (any free one) to 65535, "
                "IPv6 as [::1]:8080"
            ),
        ),
        ("workers: 4", f"workers: unknown setting; {ABSENT_SETTINGS['workers']}"),
        ("workers: 1", f"workers: unknown setting; {ABSENT_SETTINGS['workers']}"),
    ],
)
def test_a_wrong_line_of_the_file_is_explained(write: Write, text: str, fault: str) -> None:
    assert _faults(write(text)) == [fault]


def test_a_misspelled_variable_is_refused_but_not_kubernetes_links() -> None:
    links = {
        "SSE_SIDECAR_SERVICE_HOST": "10.0.0.1",
        "SSE_SIDECAR_SERVICE_PORT_HTTP": "80",
        "SSE_SIDECAR_PORT": "tcp://10.0.0.1:80",
        "SSE_SIDECAR_PORT_80_TCP_ADDR": "10.0.0.1",
        "SSE_SIDECAR_ADMIN_PORT_9464_TCP": "tcp://10.0.0.1:9464",
        "SSE_SIDECAR_CONFIG": "sidecar.yaml",
    }
    assert load(None, links, UPSTREAM).upstream == "http://127.0.0.1:8000"
    assert _faults(None, UPSTREAM, {**links, "SSE_SIDECAR_DRAIN": "3"}) == [
        "SSE_SIDECAR_DRAIN: unknown setting; did you mean SSE_SIDECAR_DRAIN_S?"
    ]
    assert _faults(None, UPSTREAM, {"SSE_SIDECAR_WORKERS": "2"}) == [
        f"SSE_SIDECAR_WORKERS: unknown setting; {ABSENT_SETTINGS['workers']}"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("upstream: [", "it is no YAML: expected the node content, but found '<stream end>'"),
        ("- a\n- b\n", "it must hold a mapping, with one `setting: value` per line"),
        ("just text", "it must hold a mapping, with one `setting: value` per line"),
        ("drain_s: 1\ndrain_s: 2\n", "it is no YAML: a key stands twice"),
        ("drain_s: 2024-99-99", "it holds a value that does not fit its YAML type"),
        ('drain_s: !!int ""', "it holds a value that does not fit its YAML type"),
        ("[" * 3000, "it is nested too deeply"),
        ("#" * (1024 * 1024 + 1), "it is larger than 1048576 bytes"),
    ],
    ids=["open", "list", "text", "twice", "date", "tag", "deep", "large"],
)
def test_a_file_that_cannot_be_used_is_a_fault(write: Write, text: str, problem: str) -> None:
    (fault,) = _faults(write(text))
    assert fault.endswith(problem.replace("'<stream end>'", "'…'"))


def test_the_place_of_a_syntax_error_is_told(write: Write) -> None:
    file = write("upstream: http://h\nlisten: [::1]:8080\n")
    assert _faults(file)[0].startswith(f"{file}:2:")


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a short path: a long one is shortened in a message
    assert _faults(Path("none.yaml")) == ["none.yaml: it cannot be read: No such file or directory"]
    assert _faults(Path()) == [".: it cannot be read: Is a directory"]
    Path("bytes").write_bytes(b"a: \xff\xfe\x00")
    assert _faults(Path("bytes")) == ["bytes: it is no YAML: byte 3 is no UTF-8 text"]


def test_an_empty_file_sets_nothing(write: Write) -> None:
    assert load(write("# nothing yet\n"), {}, UPSTREAM) == load(None, {}, UPSTREAM)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200) | st.text("[]{}:,-!&*#'\"|>%@ \nabc01.~?", max_size=60).map(str.encode)
)
def test_no_file_whatever_its_bytes_brings_a_traceback(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.yaml"
    file.write_bytes(content)
    try:
        load(file, {}, UPSTREAM)
    except ConfigError as refused:
        assert all(str(fault).isprintable() for fault in refused.faults)  # noqa: PT017 - it may also be valid


@pytest.mark.parametrize(
    "text",
    [
        f"secret: {ONE_SECRET[:20]}",
        f"secret: [{ONE_SECRET}]",
        f"retiring_secret: {{a: {ONE_SECRET}}}",
        f"admin_token: '{ONE_SECRET} '",
        f"secert: {ONE_SECRET}",
        f"secret: *{ONE_SECRET}",
        f"secret: !{ONE_SECRET} x",
        f'secret: "{ONE_SECRET}',
        f"upstream: http://me:{ONE_SECRET}@backend",
        f"upstream: http://backend?key={ONE_SECRET}",
        f"auth_check: ftp://backend?key={ONE_SECRET}",
        f"retiring_secret: {ONE_SECRET}",
        f"secret: {ONE_SECRET}\nretiring_secret: {ONE_SECRET}",
        f"secret: {ONE_SECRET}\ndrain_s: -1",
    ],
)
def test_a_secret_is_never_told(write: Write, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(write(text), {}, {} if "upstream" in text else UPSTREAM)
    assert ONE_SECRET[:8] not in "".join(traceback.format_exception(refused.value))
    assert ONE_SECRET[:8] not in repr(refused.value.faults)


def test_valid_secrets_do_not_show_in_the_settings() -> None:
    found = _with(secret=ONE_SECRET, admin_token="token-token")
    assert found.secret is not None
    assert found.secret.get_secret_value() == ONE_SECRET
    assert ONE_SECRET not in f"{found!r} {found} {found.model_dump_json()}"


def test_the_schema_accepts_what_is_written_and_is_json() -> None:
    exported = json.loads(json.dumps(schema()))
    assert exported["required"] == ["upstream"]
    assert exported["additionalProperties"] is False
    assert set(exported["properties"]) == {row.name for row in SETTINGS}
    assert {"enum": [0, False, "off"]} in exported["$defs"]["RouteSettings"]["properties"]["heartbeat_s"][
        "anyOf"
    ]


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(_with(), "drain_s", 1)  # noqa: B010 - an assignment is what mypy refuses


def test_the_defaults_of_a_listed_route_are_those_of_the_policy() -> None:
    assert RouteSettings(name="default").policy() == RoutePolicy()


def test_a_live_route_has_no_stall_and_no_idle_time_unless_it_says_so() -> None:
    silent = RouteSettings(name="a", kind="live").policy()
    assert (silent.stall_s, silent.upstream_idle_s) == (0.0, 0.0)
    assert RouteSettings(name="a", kind="live", stall_s=5).policy().stall_s == 5.0


@pytest.mark.parametrize("off", ["off", "false", "0", "0.0"])
def test_a_heartbeat_can_be_switched_off(write: Write, off: str) -> None:
    found = load(write(f"upstream: http://h\nroutes: [{{name: a, heartbeat_s: {off}}}]"), {}, {})
    assert found.route_table().match("GET", "/").heartbeat_s == 0.0


def test_routes_reach_the_table_in_their_order(write: Write) -> None:
    routes = [
        _route(path="/v1/*", methods=["POST"], log_bytes_max="1MiB"),
        {"name": "default", "linger_s": 5},
    ]
    table = load(write(yaml.safe_dump({**UPSTREAM, "routes": routes})), {}, {}).route_table()
    assert table.names == ("chat", "default")
    assert table.match("POST", "/v1/x").log_bytes_max == 1_048_576
    assert table.match("GET", "/v1/x").linger_s == 5.0
