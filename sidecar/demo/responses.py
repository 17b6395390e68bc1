"""The wire form of OpenAI's Responses API."""

from collections.abc import Iterator

from sidecar.demo.answers import FAILURE, DemoAnswer, Json, compact, event

SETTINGS: Json = {
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
}
"""What every response object repeats of the request's settings; the SDKs require the fields."""


class OpenAIResponse(DemoAnswer):
    """A response of one message with one text part."""

    _sequence_number = 0

    def opening(self) -> Iterator[bytes]:
        """Yield what announces the response, its message and its text part."""
        yield self._event("response.created", response=self._response("in_progress"))
        yield self._event("response.in_progress", response=self._response("in_progress"))
        item = self._message("in_progress", [])
        yield self._event("response.output_item.added", output_index=0, item=item)
        yield self._event("response.content_part.added", **self._place(), part=self._part(""))

    def token(self, text: str) -> bytes:
        """Return the delta of one token."""
        return self._event("response.output_text.delta", **self._place(), delta=text, logprobs=[])

    def finished(self) -> Iterator[bytes]:
        """Yield what closes the text, its part and the message."""
        yield self._event("response.output_text.done", **self._place(), text=self.text, logprobs=[])
        yield self._event("response.content_part.done", **self._place(), part=self._part(self.text))
        yield self._event("response.output_item.done", output_index=0, item=self._whole_message())

    def terminal(self) -> Iterator[bytes]:
        """Yield ``response.completed``, which repeats the whole response."""
        yield self._event("response.completed", response=self.whole())

    def error(self) -> bytes:
        """Return the API's ``error`` event."""
        return self._event("error", code="server_error", message=FAILURE, param=None)

    def whole(self) -> Json:
        """Return the completed response."""
        return {**self._response("completed"), "output": [self._whole_message()], "usage": self._usage()}

    def _event(self, kind: str, **fields: object) -> bytes:
        data = {"type": kind, "sequence_number": self._sequence_number, **fields}
        self._sequence_number += 1
        return event(compact(data), kind)

    def _place(self) -> Json:
        return {"item_id": f"msg_{self.token_id}", "output_index": 0, "content_index": 0}

    def _message(self, status: str, content: list[Json]) -> Json:
        head = {"id": f"msg_{self.token_id}", "type": "message", "role": "assistant"}
        return {**head, "status": status, "content": content}

    def _whole_message(self) -> Json:
        return self._message("completed", [self._part(self.text)])

    @staticmethod
    def _part(text: str) -> Json:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _response(self, status: str) -> Json:
        head = {"id": f"resp_{self.token_id}", "object": "response", "created_at": self.created}
        outcome: Json = {"status": status, "output": [], "usage": None}
        return {**head, "model": self.model, **SETTINGS, **outcome}

    def _usage(self) -> Json:
        sent, written = self.prompt_tokens, len(self.texts)
        details = {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
        details["output_tokens_details"] = {"reasoning_tokens": 0}
        return {"input_tokens": sent, "output_tokens": written, "total_tokens": sent + written, **details}
