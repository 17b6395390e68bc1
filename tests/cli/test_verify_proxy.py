"""``sse-sidecar verify proxy``: toxics in words, what its switches do, and who may press them."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sidecar.cli.verify.proxy import proxy
from sidecar.faultnet.control import BODY_BYTES_MAX, Control
from sidecar.faultnet.faults import TOXICS_MAX
from sidecar.faultnet.toxic_words import TYPES, toxic_of, toxic_of_text, words_of
from sidecar.faultnet.toxics import Bandwidth, Down, Latency, LimitData, Slicer, Timeout
from sidecar.server.server import admin_listener, listening_socket
from tests.kit.blocking_process import blocking_process
from tests.kit.client import SSEClient
from tests.kit.wired import Wired, wired

DOCS = Path(__file__).parents[2] / "docs" / "verify-proxy.md"
WAIT_S = 30.0


class TestWords:
    @pytest.mark.parametrize(
        ("text", "toxic"),
        [
            ("down", Down()),
            ("latency:latency_s=0.2,jitter_s=0.05", Latency(latency_s=0.2, jitter_s=0.05)),
            (
                " bandwidth: rate_bytes=50000 , direction=both, shared=true",
                Bandwidth(rate_bytes=50_000, direction="both", shared=True),
            ),
            ("timeout:toxicity=0.5", Timeout(toxicity=0.5)),
            ("slicer:average_bytes=10", Slicer(average_bytes=10)),
        ],
    )
    def test_what_people_write_is_a_toxic(self, text: str, toxic: object) -> None:
        assert toxic_of_text(text) == toxic

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "there is no toxic ''"),
            ("lag:latency_s=1", "there is no toxic 'lag': one of latency, bandwidth,"),
            ("latency", "latency: needs latency_s"),
            ("latency:latency_s", "latency: 'latency_s' is not name=value"),
            ("latency:latency_s=1,rate=2", "latency: no 'rate': direction, toxicity, latency_s, jitter_s"),
            ("latency:latency_s=-1", "latency: latency_s is '-1': a number 0 or more"),
            ("latency:latency_s=nan", "latency: latency_s is 'nan': a number 0 or more"),
            ("latency:latency_s=inf", "latency: latency_s is 'inf': a number 0 or more"),
            ("latency:latency_s=soon", "latency: latency_s is 'soon': could not convert"),
            ("bandwidth:rate_bytes=0", "bandwidth: rate_bytes is '0': a number above 0"),
            ("bandwidth:rate_bytes=1,shared=2", "bandwidth: shared is '2': true or false"),
            ("slicer:average_bytes=0", "slicer: average_bytes is '0': a number above 0"),
            ("slicer:average_bytes=1.5", "slicer: average_bytes is '1.5': invalid literal"),
            ("loss:share=1.1", "loss: share is '1.1': a number from 0 to 1"),
            ("down:toxicity=2", "down: toxicity is '2': a number from 0 to 1"),
            ("down:direction=left", "down: direction is 'left': one of up, down, both"),
        ],
    )
    def test_what_is_wrong_with_them_is_said(self, text: str, said: str) -> None:
        with pytest.raises(ValueError, match=rf"^{re.escape(said)}"):
            toxic_of_text(text)

    @pytest.mark.parametrize("value", [True, None, [], {}])
    def test_json_has_other_things_than_numbers(self, value: object) -> None:
        with pytest.raises(ValueError, match=r"latency: latency_s is .*: a number"):
            toxic_of("latency", {"latency_s": value})

    def test_every_toxic_has_words_that_make_it_again(self) -> None:
        for toxic in (Down(), Latency(latency_s=1), LimitData(limit_bytes=3), Bandwidth(rate_bytes=2.5)):
            words = words_of(toxic)
            assert toxic_of(words.pop("type"), words) == toxic

    def test_the_page_about_it_names_every_toxic_and_every_field(self) -> None:
        rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", DOCS.read_text(), re.MULTILINE)
        common = {"direction", "toxicity"}
        assert {name: set(re.findall(r"`(\w+)`", named)) for name, named in rows} == {
            name: {field.name for field in fields(kind)} - common for name, kind in TYPES.items()
        }


class Switched:
    """The two ends, the network between them, and a client of its switches."""

    def __init__(self, ends: Wired, port: int) -> None:
        self.ends = ends
        self._client = SSEClient("127.0.0.1", port)

    async def press(self, method: str, target: str, body: object = None, **headers: str) -> tuple[int, Any]:
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        answer = await self._client.fetch(method, target, headers=named, body=sent)
        is_json = answer.header("content-type") == "application/json"
        return answer.status, answer.json() if is_json else answer.raw.decode()

    async def toxics(self) -> list[str]:
        return [toxic["type"] for toxic in (await self.press("GET", "/"))[1]["toxics"]]


@asynccontextmanager
async def _switched() -> AsyncIterator[Switched]:
    async with wired() as ends:
        listener = admin_listener(Control(ends.network).app())
        own = listening_socket("127.0.0.1", 0)
        port = own.getsockname()[1]
        await listener.open(own)
        try:
            yield Switched(ends, port)
        finally:
            await listener.shut(0)


class TestSwitches:
    async def test_a_toxic_is_in_force_from_its_post_to_its_delete(self) -> None:
        async with _switched() as to:
            pair = await to.ends.pair()
            status, toxic = await to.press("POST", "/toxics", {"type": "timeout"})
            assert (status, toxic["name"], toxic["timeout_s"], toxic["direction"]) == (201, "1", 0.0, "down")
            await pair.server.write(b"held")
            assert await pair.client.silent_for(0.15)
            assert (await to.press("DELETE", "/toxics/1"))[1] == {"live": 1, "accepted": 1, "toxics": []}
            assert await pair.heard(4) == b"held"

    async def test_all_are_taken_out_at_once(self) -> None:
        async with _switched() as to:
            for toxic in ({"type": "down"}, {"type": "loss", "share": 0.5}):
                await to.press("POST", "/toxics", toxic)
            assert await to.toxics() == ["down", "loss"]
            await to.press("DELETE", "/toxics")
            assert await to.toxics() == []
            assert await (await to.ends.pair()).down(b"1") == b"1"

    async def test_a_cut_resets_what_is_open(self) -> None:
        async with _switched() as to:
            pair = await to.ends.pair()
            assert (await to.press("POST", "/cut"))[0] == 200
            assert (await pair.heard(1), pair.client.closed_with) == (b"", "reset")

    async def test_a_hand_off_leaves_it_in_the_dark(self) -> None:
        async with _switched() as to:
            pair = await to.ends.pair()
            assert (await to.press("POST", "/hand_off"))[0] == 200
            await pair.server.write(b"lost")
            assert await pair.client.silent_for(0.15)

    async def test_bytes_vanish(self) -> None:
        async with _switched() as to:
            pair = await to.ends.pair()
            await pair.down(b"1")
            assert (await to.press("POST", "/drop_bytes?n=2"))[0] == 200
            await pair.server.write(b"abc")
            assert await pair.heard(1) == b"c"

    @pytest.mark.parametrize(
        ("method", "target", "body", "status"),
        [
            ("POST", "/toxics", {"type": "lag"}, 400),
            ("POST", "/toxics", {"type": ["down"]}, 400),
            ("POST", "/toxics", ["down"], 400),
            ("POST", "/toxics", b"{", 400),
            ("POST", "/toxics", b"", 400),
            ("POST", "/toxics", b" " * (BODY_BYTES_MAX + 1), 413),
            ("DELETE", "/toxics/7", None, 404),
            ("POST", "/burn", None, 404),
            ("POST", "/drop_bytes", None, 400),
            ("POST", "/drop_bytes?n=-1", None, 400),
            ("POST", "/drop_bytes?n=99999999", None, 400),
            ("PUT", "/toxics", None, 405),
        ],
    )
    async def test_what_cannot_be_is_refused(
        self, method: str, target: str, body: object, status: int
    ) -> None:
        async with _switched() as to:
            assert (await to.press(method, target, body))[0] == status
            assert await to.toxics() == []

    async def test_a_toxic_is_in_force_once_and_they_are_bounded_in_number(self) -> None:
        async with _switched() as to:
            said = await to.press("POST", "/toxics", {"type": "down"})
            assert said[0] == 201
            assert (await to.press("POST", "/toxics", {"type": "down"}))[0] == 400
            for number in range(TOXICS_MAX - 1):
                assert (await to.press("POST", "/toxics", {"type": "timeout", "timeout_s": number}))[0] == 201
            assert (await to.press("POST", "/toxics", {"type": "timeout", "timeout_s": 99}))[0] == 400
            assert len(await to.toxics()) == TOXICS_MAX

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Origin": "https://evil.example"}, 403),
            ({"Sec_Fetch_Site": "cross-site"}, 403),
            ({"Host": "evil.example"}, 421),
        ],
    )
    async def test_another_site_s_page_may_press_nothing(self, headers: dict[str, str], status: int) -> None:
        async with _switched() as to:
            pair = await to.ends.pair()
            for method, target in (
                ("GET", "/"),
                ("POST", "/toxics"),
                ("DELETE", "/toxics"),
                ("DELETE", "/toxics/1"),
                ("POST", "/cut"),
            ):
                body = {"type": "down"} if target == "/toxics" else None
                assert (await to.press(method, target, body, **headers))[0] == status
            assert await pair.down(b"1") == b"1"


@contextmanager
def _proxy(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "sidecar", "verify", "proxy", *arguments]
    with blocking_process(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline()


class TestProxyCommand:
    def test_it_carries_and_says_where_and_ends_when_told(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            to = f"127.0.0.1:{server.getsockname()[1]}"
            with _proxy("--to", to, "--toxic", "limit_data:limit_bytes=3") as (process, said):
                match = re.fullmatch(
                    rf"127\.0\.0\.1:(\d+) -> {to}, switches at http://127.0.0.1:\d+/\n", said
                )
                assert match is not None, said
                with socket.create_connection(("127.0.0.1", int(match[1])), WAIT_S) as client:
                    server.settimeout(WAIT_S)
                    accepted, _ = server.accept()
                    with accepted:
                        accepted.sendall(b"12345")
                        assert _read_to_end(client) == b"123"
                process.send_signal(signal.SIGTERM)
                assert process.wait(WAIT_S) == 0

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            ([], 2, "Missing option '--to'"),
            (["--to", "wss://a"], 2, "paths lead to http://host"),
            (["--to", "a:1", "--toxic", "lag"], 2, "there is no toxic 'lag'"),
            (["--to", "a:1", "--toxic", "down", "--toxic", "down"], 2, "in force already"),
            (["--to", "a:1", "--listen", "192.0.2.1:1"], 1, "cannot listen at 192.0.2.1:1"),
            (["--to", "a:1", "--control", "192.0.2.1:1"], 1, "cannot listen at 192.0.2.1:1"),
        ],
    )
    def test_what_it_cannot_do_is_said_in_a_line(self, arguments: list[str], code: int, said: str) -> None:
        done = CliRunner().invoke(proxy, arguments)
        assert (done.exit_code, said in done.output) == (code, True), done.output


def _read_to_end(client: socket.socket) -> bytes:
    read = b""
    while data := client.recv(100):
        read += data
    return read
