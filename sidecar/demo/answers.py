"""The wire forms of an answer, one class per protocol."""

# ruff: noqa: D102 - what the methods of a family mean is said once, in Answer

import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

MODEL_DEFAULT = "demo-1"
DONE = b"data: [DONE]\n\n"
FAILURE = "The model stopped unexpectedly."

Json = dict[str, Any]


def compact(value: object) -> str:
    """Return JSON as the large providers write it: no spaces, raw UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def event(data: str, name: str = "") -> bytes:
    """Return one event as an SSE block (WHATWG HTML section 9.2.6)."""
    return f"{f'event: {name}{chr(10)}' if name else ''}data: {data}\n\n".encode()


class DemoAnswer(ABC):
    """One answer in progress.

    ``finished`` closes the content, and ``terminal`` ends the answer.
    """

    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, model: str = MODEL_DEFAULT, prompt: str = "") -> None:
        self.model = model
        self.token_id = secrets.token_hex(12)
        self.created = int(time.time())
        self.prompt_tokens = max(1, len(prompt.split()))
        self.texts: list[str] = []

    @property
    def text(self) -> str:
        """The answer as far as it has been written."""
        return "".join(self.texts)

    def write(self, text: str) -> bytes:
        """Add a token to the answer and return its event."""
        self.texts.append(text)
        return self.token(text)

    def opening(self) -> Iterator[bytes]:
        """Yield the events before the first token."""
        yield from ()

    @abstractmethod
    def token(self, text: str) -> bytes:
        """Return the event of one token."""

    def finished(self) -> Iterator[bytes]:
        """Yield the events between the last token and the terminal."""
        yield from ()

    @abstractmethod
    def terminal(self) -> Iterator[bytes]:
        """Yield the family's terminal."""

    @abstractmethod
    def error(self) -> bytes:
        """Return the family's own error event."""

    @abstractmethod
    def whole(self) -> Json:
        """Return the answer as one JSON body, for a request without a stream."""


class ChatAnswer(DemoAnswer):
    """The demo's own form: an event per token, then the event ``done``.

    ``index`` counts the tokens 1, 2, 3 ..., so that a page can detect missing and repeated ones.
    """

    def token(self, text: str) -> bytes:
        return event(json.dumps({"text": text, "index": len(self.texts)}, ensure_ascii=False))

    def terminal(self) -> Iterator[bytes]:
        yield event(json.dumps({"tokens": len(self.texts), "model": self.model}), "done")

    def error(self) -> bytes:
        return event(json.dumps({"error": {"code": "model_failed", "message": FAILURE}}), "error")

    def whole(self) -> Json:
        return {"text": self.text, "tokens": len(self.texts), "model": self.model}


class OpenAIChat(DemoAnswer):
    """OpenAI Chat Completions: chunks, a ``finish_reason``, ``[DONE]``."""

    def __init__(self, model: str = MODEL_DEFAULT, prompt: str = "", *, usage: bool = False) -> None:
        super().__init__(model, prompt)
        self._with_usage = usage

    def opening(self) -> Iterator[bytes]:
        yield self._chunk({"role": "assistant", "content": ""})

    def token(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def terminal(self) -> Iterator[bytes]:
        yield self._chunk({}, finish_reason="stop")
        if self._with_usage:
            yield self._chunk_of([], usage=self._usage())
        yield DONE

    def error(self) -> bytes:
        error = {"message": FAILURE, "type": "server_error", "param": None, "code": "model_failed"}
        return event(compact({"error": error}))

    def whole(self) -> Json:
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    def _head(self, kind: str) -> Json:
        name = f"chatcmpl-{self.token_id}"
        return {"id": name, "object": kind, "created": self.created, "model": self.model}

    def _chunk(self, delta: Json, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._chunk_of([choice])

    def _chunk_of(self, choices: list[Json], **more: object) -> bytes:
        return event(compact({**self._head("chat.completion.chunk"), "choices": choices, **more}))

    def _usage(self) -> Json:
        prompt, answer = self.prompt_tokens, len(self.texts)
        return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


class Anthropic(DemoAnswer):
    """Anthropic Messages: ``message_start`` to ``message_stop``, and ``ping``."""

    def opening(self) -> Iterator[bytes]:
        usage = {"input_tokens": self.prompt_tokens, "output_tokens": 1}
        yield self._event("message_start", message=self._message([], None, usage))
        yield self._event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        yield self._event("ping")

    def token(self, text: str) -> bytes:
        return self._event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    def finished(self) -> Iterator[bytes]:
        yield self._event("content_block_stop", index=0)
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        yield self._event("message_delta", delta=delta, usage={"output_tokens": len(self.texts)})

    def terminal(self) -> Iterator[bytes]:
        yield self._event("message_stop")

    def error(self) -> bytes:
        return self._event("error", error={"type": "api_error", "message": FAILURE})

    def whole(self) -> Json:
        usage = {"input_tokens": self.prompt_tokens, "output_tokens": len(self.texts)}
        return self._message([{"type": "text", "text": self.text}], "end_turn", usage)

    def _message(self, content: list[Json], stop_reason: str | None, usage: Json) -> Json:
        head = {"id": f"msg_{self.token_id}", "type": "message", "role": "assistant", "model": self.model}
        stop = {"stop_reason": stop_reason, "stop_sequence": None}
        return {**head, "content": content, **stop, "usage": usage}

    @staticmethod
    def _event(kind: str, **fields: object) -> bytes:
        return event(compact({"type": kind, **fields}), kind)


class AiSdk(DemoAnswer):
    """The AI SDK's UI message stream, version 1: parts, then ``[DONE]``."""

    headers: ClassVar[dict[str, str]] = {"x-vercel-ai-ui-message-stream": "v1"}

    def opening(self) -> Iterator[bytes]:
        yield self._part("start", messageId=f"msg-{self.token_id}")
        yield self._part("text-start", id="text-1")

    def token(self, text: str) -> bytes:
        return self._part("text-delta", id="text-1", delta=text)

    def finished(self) -> Iterator[bytes]:
        yield self._part("text-end", id="text-1")

    def terminal(self) -> Iterator[bytes]:
        yield self._part("finish")
        yield DONE

    def error(self) -> bytes:
        return self._part("error", errorText=FAILURE)

    def whole(self) -> Json:
        parts = [{"type": "text", "text": self.text}]
        return {"id": f"msg-{self.token_id}", "role": "assistant", "parts": parts}

    @staticmethod
    def _part(kind: str, **fields: object) -> bytes:
        return event(compact({"type": kind, **fields}))
