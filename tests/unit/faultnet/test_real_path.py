"""Real paths: what TCP itself sees of them, who lives there, and that nothing is left of them afterwards."""

import asyncio
import hashlib
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.faultnet.delay_line import OVERTAKEN_S, PACKETS_MAX, DelayLine
from sidecar.faultnet.namespace import command
from sidecar.faultnet.path import FINE, Weather
from sidecar.faultnet.real_path import DARK_MAX, NEEDED, device_of, next_host, why_not
from sidecar.faultnet.router import Router
from sidecar.faultnet.target import PathError
from tests.kit.deadline import within
from tests.kit.remote_server import WAIT_S, RemoteServer, content, needs_real_path, quickest, remote_server
from tests.kit.user_process import user_process

ROOT = Path(__file__).parents[3]
POLL_S = 0.05
BULK_BYTES = 400_000
"""Some 280 packets: that none of them is among a tenth is not to be expected in the life of the universe."""

HOLD = """
import asyncio
from sidecar.faultnet.paths import path_to

async def main():
    async with path_to("http://127.0.0.1:1", "real", 0) as path:
        print(path.host, flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""
ASK = """
import asyncio, os, sys
from sidecar.faultnet.paths import path_to

async def main():
    async with path_to("http://127.0.0.1:1", sys.argv[1], 0) as path:
        print(path.kind, path.pieces.get("why not real"))

{before}
asyncio.run(main())
"""


async def _until(true: Callable[[], object], what: str) -> None:
    async with within(WAIT_S, lambda: what):
        while not true():  # noqa: ASYNC110 - what the kernel does raises no event here
            await asyncio.sleep(POLL_S)


@needs_real_path
class TestPackets:
    async def test_tcp_sees_the_round_trip_from_its_first_packet_on(self) -> None:
        async with remote_server("real") as far:
            await far.path.set(Weather(delay_s=0.2))

            async def connect() -> float:
                loop = asyncio.get_running_loop()
                began = loop.time()
                await far.line()
                return loop.time() - began

            assert await quickest(lambda: far.run(connect), 0.44) == pytest.approx(0.4, rel=0.1)

    @pytest.mark.slow
    async def test_delay_rate_and_loss_act_together(self) -> None:
        async with remote_server("real") as far:
            await far.path.set(Weather(delay_s=0.1, rate_bytes=50_000, loss=0.01))

            async def people() -> float:
                loop, line = asyncio.get_running_loop(), await far.line()
                began = loop.time()
                assert await line.ask(100_000) == content(100_000)
                return loop.time() - began

            assert await far.run(people) > 1.8
            assert await far.run(far.round_trip_s) >= 0.19

    async def test_lost_packets_are_sent_again_and_every_byte_arrives(self) -> None:
        async with remote_server("real") as far:
            before = await far.counted("TcpRetransSegs")

            async def people() -> str:
                line = await far.line()
                await far.here(far.path.set(Weather(loss=0.1)))
                heard = await line.ask(BULK_BYTES)
                for _ in range(BULK_BYTES // 1000):
                    line.writer.write(b"0" * 999 + b"\n")
                assert await line.ask(1) == b"0"
                assert await far.here(_sent_again(far)) > 0
                await far.here(far.path.set(FINE))
                return hashlib.sha256(heard).hexdigest()

            assert await far.run(people) == hashlib.sha256(content(BULK_BYTES)).hexdigest()
            assert await far.counted("TcpRetransSegs") > before

    async def test_the_same_share_is_lost_in_both_directions_and_no_packet_is_lost_twice(self) -> None:
        async with remote_server("real") as far:
            await far.path.set(Weather(loss=0.1, delay_s=0.001))
            rules = await far.real.router.namespace.command("iptables -S FORWARD")
            assert [line.split()[1:4] for line in rules.splitlines() if "statistic" in line] == [
                ["FORWARD", "-o", "host"],
                ["FORWARD", "-o", "people"],
            ]

    async def test_packets_that_come_twice_and_out_of_order_make_the_same_stream(self) -> None:
        async with remote_server("real") as far:
            before = await far.counted("TcpExtTCPOFOQueue")
            await far.path.set(Weather(duplicate=0.1, reorder=0.1))

            async def people() -> bytes:
                return await (await far.line()).ask(BULK_BYTES)

            assert await far.run(people) == content(BULK_BYTES)
            assert await far.counted("TcpExtTCPOFOQueue") > before


async def _sent_again(far: RemoteServer) -> int:
    return far.retransmitted


@needs_real_path
class TestPeople:
    async def test_a_server_on_loopback_is_reached_too_and_the_path_says_how(self) -> None:
        async with remote_server("real", host="127.0.0.1") as far:
            await far.path.set(Weather(delay_s=0.1))
            took_s = await quickest(lambda: far.run(far.round_trip_s), 0.22)
            assert took_s == pytest.approx(0.2, rel=0.1)
            assert far.path.pieces["server's end"].startswith("a plain TCP relay")

    async def test_a_server_on_all_addresses_is_met_itself(self) -> None:
        async with remote_server("real") as far:

            async def people() -> str:
                line = await far.line()
                await line.ask(1)
                return line.address

            assert await far.run(people) == far.real.address
            assert far.accepted[0].get_extra_info("peername")[0] == far.real.address
            assert far.path.pieces["server's end"] == "the server's own sockets"

    async def test_two_paths_have_nothing_to_do_with_each_other(self) -> None:
        async with remote_server("real") as far, remote_server("real") as other:
            await far.path.set(Weather(silent=True))
            assert await other.run(other.round_trip_s) < 0.3

    async def test_they_move_to_a_new_address_each_time(self) -> None:
        async with remote_server("real") as far:
            seen = []
            for _ in range(3):
                seen.append(far.real.address)
                assert await far.run(far.round_trip_s) < 0.3
                await far.path.hand_off()
            assert len(set(seen)) == 3

    def test_their_addresses_come_round_again_in_the_end(self) -> None:
        seen = [2]
        while (after := next_host(seen[-1])) != 2:
            seen.append(after)
        assert seen == list(range(2, 255))
        assert len(seen) > DARK_MAX

    async def test_the_loop_goes_on_while_they_live(self) -> None:
        async with remote_server("real") as far:
            here = asyncio.get_running_loop()

            async def people() -> bool:
                return asyncio.get_running_loop() is here

            assert await far.run(people) is False


@needs_real_path
class TestAfterwards:
    async def test_nothing_is_left_of_a_path(self) -> None:
        files = _open_files()
        async with remote_server("real") as far:
            assert await far.run(far.round_trip_s) < 0.3
            device = _device_at(far.real.host)
            assert device in _outside()
        await _until(lambda: device not in _outside(), f"{device} is left")
        assert _open_files() <= files

    async def test_nothing_is_left_of_one_whose_process_was_killed(self) -> None:
        async with user_process(sys.executable, "-c", HOLD, cwd=ROOT) as process:
            host = await process.line(WAIT_S)
            assert host in _outside()
        device = _device_at(host)
        await _until(lambda: device not in _outside() and not _holding(process.pid), f"{device} is left")

    async def test_a_weather_that_the_kernel_will_not_have_is_said(self) -> None:
        async with remote_server("real") as far:
            with pytest.raises(PathError, match=r"^tc qdisc replace dev host root tbf rate 0bit"):
                await far.path.set(Weather(rate_bytes=0.01))


def _run(asked: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False)


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _outside() -> str:
    """Return all that paths show outside of their namespaces."""
    return command("ip -oneline address show") + command("ip route show")


def _device_at(host: str) -> str:
    return device_of(int(host.split(".")[2]))


def _holding(parent: int) -> bool:
    """Tell whether a delay line of a process is still there."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"PPid:\t{parent}\n" in (entry / "status").read_text():
                return True
        except OSError:
            continue
    return False


class TestWithout:
    """What a path says where it cannot be."""

    @needs_real_path
    @pytest.mark.parametrize(
        ("before", "reason"),
        [
            ("os.environ['PATH'] = '/nowhere'", "ip (apt-get install iproute2)"),
            ("os.seteuid(65534)", "real paths need root"),
        ],
    )
    def test_what_is_missing_is_named_and_auto_takes_the_other_kind(self, before: str, reason: str) -> None:
        asked = [sys.executable, "-c", ASK.format(before=before)]
        auto, real = (_run([*asked, kind]) for kind in ("auto", "real"))
        assert auto.stdout.startswith("userspace real paths need")
        assert reason in auto.stdout
        assert real.returncode == 1
        assert reason in real.stderr.splitlines()[-1]

    @needs_real_path
    @pytest.mark.parametrize("capability", ["sys_admin", "net_admin"])
    def test_a_root_that_may_not_is_told_so_and_auto_takes_the_other_kind(self, capability: str) -> None:
        asked = ["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}"]
        auto = _run([*asked, sys.executable, "-c", ASK.format(before=""), "auto"])
        assert auto.stdout.startswith("userspace "), auto.stderr
        assert "not permitted" in auto.stdout

    def test_every_tool_has_a_package(self) -> None:
        assert set(NEEDED.values()) == {"iproute2", "iptables"}

    @needs_real_path
    async def test_where_it_can_be_auto_takes_the_real_one(self) -> None:
        assert why_not() == ""
        async with remote_server("auto") as far:
            assert far.path.kind == "real"

    @needs_real_path
    async def test_a_router_that_is_not_open_takes_no_weather(self) -> None:
        router = Router(0)
        try:
            with pytest.raises(PathError):
                await router.set(Weather(delay_s=1))
        finally:
            await router.close()

    @pytest.mark.parametrize("line", ["no-such-program", "false", "ls /no/such/file"])
    def test_a_command_that_fails_says_which_and_why(self, line: str) -> None:
        with pytest.raises(PathError, match=f"^{line}: "):
            command(line)


class TestDelayLine:
    def test_a_packet_comes_out_so_much_later(self) -> None:
        line = DelayLine(1)
        line.delay_s = 0.2
        line.take(b"a", 10.0)
        line.take(b"b", 10.1)
        assert line.due(10.19) == []
        assert line.due_in(10.15) == pytest.approx(0.05)
        assert (line.due(10.201), line.due(10.301), line.due_in(11)) == ([b"a"], [b"b"], None)

    def test_a_line_that_becomes_shorter_keeps_the_order(self) -> None:
        line = DelayLine(1)
        line.delay_s = 5
        line.take(b"a", 10.0)
        line.delay_s = 0
        line.take(b"b", 10.0)
        assert line.due(10.0) == [b"a", b"b"]

    def test_of_all_packets_twice_each_comes_twice(self) -> None:
        line = DelayLine(1)
        line.duplicate = 1
        for packet in (b"a", b"b"):
            line.take(packet, 1.0)
        assert sorted(line.due(1.0 + OVERTAKEN_S)) == [b"a", b"a", b"b", b"b"]

    def test_some_are_overtaken_and_none_is_lost(self) -> None:
        line = DelayLine(1)
        line.reorder = 0.5
        packets = [b"%02d" % number for number in range(50)]
        for packet in packets:
            line.take(packet, 1.0)
        came = line.due(1.0 + OVERTAKEN_S)
        assert (came != packets, sorted(came)) == (True, packets)

    def test_it_holds_so_many_and_no_more(self) -> None:
        line = DelayLine(1)
        for _ in range(PACKETS_MAX + 1):
            line.take(b"-", 0.0)
        assert len(line.due(0.0)) == PACKETS_MAX

    def test_it_ends_with_who_started_it(self) -> None:
        tun, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with tun, other:
            line = [sys.executable, "-m", "sidecar.faultnet.delay_line", str(tun.fileno()), "1"]
            process = subprocess.Popen(
                line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[tun.fileno()]
            )
            with process:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(b'{"delay_s": 0.1}\n')
                process.stdin.flush()
                assert process.stdout.readline() == b"ok\n"
                other.send(b"packet")
                other.settimeout(WAIT_S)
                assert other.recv(100) == b"packet"
                process.stdin.close()
                assert process.wait(WAIT_S) == 0
