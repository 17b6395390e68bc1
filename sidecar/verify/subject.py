"""The subject of a test: a server, a request and its answer."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from sidecar.client import State
from sidecar.verify.own import CHAT, LOOPBACK, SMALL, Own, configuration, own, sidecar_process
from sidecar.verify.person import Person, UserRequest
from sidecar.verify.scenarios import ScenarioPart
from sidecar.verify.truth import Truth, truth_of

OWN_STALL_S = 3.0
"""When people at our own servers give up a silent connection; its heartbeats come every second."""

STRANGER_STALL_S = 30.0
ANSWER_S = 60.0
"""How long an undisturbed answer of a stranger may take; what takes longer is a feed without an end."""

READINGS = 3
"""How many undisturbed answers of a stranger have to be alike before anybody's is judged by its content.
Two are alike by chance too often: short answers of a model at a low temperature."""

FEED_LEAVE_S = 20.0
"""How long people stay with a feed, from its beginning, stall times not counted."""

DIRECT, SIDECAR = "direct", "sidecar"

Generation = Mapping[str, Any]


class Unusable(Exception):
    """A server that gives nothing to be tested; the sentence says so."""


@dataclass(slots=True)
class Subject:
    """A server under test; ``own`` is verify's demo backend."""

    name: str
    url: str
    question: UserRequest
    stall_s: float
    answer_s: float = ANSWER_S
    own: Own | None = None
    refusing_url: str = ""
    """Where the same server's backend, or the server itself, does not listen."""

    feed: bool = False
    """A stranger's stream that has no end."""

    unjudged: str = ""
    """Why its content cannot be judged; "": it can."""

    _truths: dict[tuple[int, str], Truth] = field(default_factory=dict)

    @property
    def has_sidecar(self) -> bool:
        """Return whether the sidecar is in front."""
        return self.own is not None and self.own.sidecar is not None

    def takes(self, part: ScenarioPart) -> bool:
        """Tell whether a part makes sense here."""
        needed = {"any": True, "own": self.own is not None, "sidecar": self.has_sidecar}
        return needed[part.needs]

    def ask(self, part: ScenarioPart, who: str, messages: int, seed: int) -> UserRequest:
        """Return a user's request; verify's backend knows the user's name."""
        if self.own is None:
            return self.question
        base = self.refusing_url if part.refused else self.url
        path = SMALL if part.small else CHAT
        return UserRequest(url=f"{base}{path}?{_query(part, who, messages, seed)}", headers=_login(who))

    async def truth(self, part: ScenarioPart, messages: int, seed: int) -> Truth | None:
        """Return the answer to a part's request without faults, or None."""
        if self.own is None:
            return self._truths.get((0, ""))
        key = (messages, str(seed))
        if key not in self._truths:
            plain = ScenarioPart(name=part.name, interval_ms=0)
            url = f"{self.own.backend.url}{CHAT}?{_query(plain, 'reference', messages, seed)}"
            person = await _undisturbed(UserRequest(url=url), self.stall_s, self.answer_s)
            self._truths[key] = truth_of([handed.event for handed in person.handed])
        return self._truths[key]

    async def generations(self) -> dict[str, list[Generation]] | None:
        """Return the backend's record of its streams by user, or None."""
        if self.own is None:
            return None
        found: dict[str, list[Generation]] = {}
        for generation in await self.own.generations():
            who = parse_qs(generation["query"]).get("prompt", [""])[0]
            found.setdefault(who, []).append(generation)
        return found

    async def get_to_know(self) -> None:
        """Read another server's answer without faults.

        Raises Unusable if it does not answer.
        """
        first = await _undisturbed(self.question, self.stall_s, self.answer_s)
        if not first.handed:
            raise Unusable(self._no_messages(first))
        if first.state is not State.COMPLETED:
            self.feed = True
            self.unjudged = (
                f"it had not ended after {self.answer_s:g} s, so it is taken for a feed without an end"
            )
            return
        truth = truth_of([handed.event for handed in first.handed])
        for _ in range(READINGS - 1):
            again = await _undisturbed(self.question, self.stall_s, self.answer_s)
            if truth != truth_of([handed.event for handed in again.handed]):
                self.unjudged = "undisturbed answers to the same question differed"
                return
        self._truths[0, ""] = truth

    def _no_messages(self, person: Person) -> str:
        if person.state in (State.FAILED, State.COMPLETED):
            return f"{self.url} gave no message: {person.seen[-1].sentence}"
        return f"{self.url} gave no message within {self.answer_s:g} s."


def _query(part: ScenarioPart, who: str, messages: int, seed: int) -> str:
    fields = {"prompt": who, "n": messages, "interval_ms": part.interval_ms, "seed": seed}
    return urlencode(fields) + (f"&{part.fault}" if part.fault else "")


def _login(who: str) -> dict[str, str]:
    return {"authorization": f"Bearer {who}"}


async def _undisturbed(question: UserRequest, stall_s: float, answer_s: float) -> Person:
    person = Person("reference", question, stall_s=stall_s, seed=0, attempts_max=1, reports=False)
    await person.read(answer_s)
    return person


@asynccontextmanager
async def subject(
    spec: str,
    question: UserRequest | None = None,
    stall_s: float | None = None,
    answer_s: float = ANSWER_S,
    host: str = LOOPBACK,
) -> AsyncIterator[Subject]:
    """Start a target: ``direct``, ``sidecar``, or a URL.

    Verify's own servers listen on ``host``.
    Raises NotStarted or Unusable.
    """
    async with AsyncExitStack() as stack:
        if spec in (DIRECT, SIDECAR):
            yield await _own(spec, stall_s or OWN_STALL_S, host, stack)
            return
        stranger = Subject(
            spec, spec, question or UserRequest(url=spec), stall_s or STRANGER_STALL_S, answer_s
        )
        await stranger.get_to_know()
        yield stranger


async def _own(spec: str, stall_s: float, host: str, stack: AsyncExitStack) -> Subject:
    servers = await stack.enter_async_context(own(sidecar=spec == SIDECAR, host=host))
    held = stack.enter_context(socket.socket())
    held.bind(("127.0.0.1", 0))  # bound without a listener: it refuses connections
    refusing = f"http://127.0.0.1:{held.getsockname()[1]}"
    url = servers.backend.url
    if servers.sidecar is not None:
        url = servers.sidecar.url
        lonely = await stack.enter_async_context(sidecar_process(configuration(refusing)))
        refusing = lonely.url
    return Subject(spec, url, UserRequest(url=url), stall_s, own=servers, refusing_url=refusing)
