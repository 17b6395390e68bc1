"""What a stream says is told nowhere on the admin listener, even where its framing breaks in the middle."""

import pytest

from tests.kit.client import SSEClient
from tests.kit.fake_upstream import FakeUpstream, literal
from tests.kit.running import running

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b"12\r\ndata: confidence\n\n\r\n"
BROKEN = {
    "a chunk without its size": HEAD + EVENT + b"the confidence goes on\r\n\r\n",
    "a quote in it": HEAD + EVENT + b'it\'s "the confidence"\r\n\r\n',
    "a head with a bad field": b"HTTP/1.1 200 OK\r\nSet-Cookie: a=confidence\r\nthe confidence field\r\n\r\n",
    "no http": b"the confidence of another protocol\r\n\r\n",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_an_answer_that_cannot_be_read_is_not_quoted(
    answer: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    async with FakeUpstream() as up, running(up.url) as sc:
        up.script(literal(answer))
        response = await sc.client.fetch("POST", "/v1/chat", body=b"{}")
        admin = SSEClient("127.0.0.1", sc.admin_port)
        targets = ["/streams", "/overview?shown=all", *(f"/streams/{h}" for h in sc.parts.hub.streams)]
        told = [(await admin.fetch("GET", target)).raw.decode() for target in targets]
        assert "confidence" not in "".join(told)
        assert "confidence" not in capsys.readouterr().out
        assert response.ended
