"""The faults of the stack, and the alert of each."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from alerts import links

Habit = Literal["tunnel", "vanish", "burst", "renewed"]
"""What every user does instead of the usual: see compose/habits.py."""


class Blow(StrEnum):
    """What happens to a process; it is undone when the fault is cleared."""

    STOP_BACKEND = "stop backend"
    KILL_SIDECAR = "kill sidecar"
    FREEZE_SIDECAR = "freeze sidecar"
    SPOIL_FRONT = "spoil front"


@dataclass(frozen=True, slots=True)
class StackFault:
    """One fault: its effect on users, its cause, and its alert.

    ``query`` is what a faulty answer is asked with (the demo backend's own switches); ``habit`` and
    ``blow`` are what users and processes do.
    """

    name: str
    what: str
    alert: str
    query: dict[str, str] = field(default_factory=dict)
    habit: Habit | None = None
    blow: Blow | None = None


COMPLETION = "SSECompletionBudgetBurn"
RECONNECT = "SSEReconnectTooSlow"
INTEGRITY = "SSEMessageIntegrityViolation"
SILENT = "SSESilentFailure"
DOWN = "SSESidecarDown"

AT = "5"
"""Whole events before a faulty answer goes wrong."""


def _backend(name: str, what: str, alert: str = COMPLETION) -> StackFault:
    """Return a fault that is the demo backend's own, by the same name."""
    return StackFault(name, what, alert, query={"fault": name, "at": AT})


FAULTS = {
    fault.name: fault
    for fault in (
        _backend("reset", "the backend's connections break in the middle of answers"),
        _backend("truncate", "the backend closes in the middle of an event"),
        _backend("error", "the backend sends an error event and ends"),
        _backend("no_terminal", "the backend ends answers that are not finished"),
        _backend("empty", "the backend ends answers before the first event"),
        _backend("stall", "the backend falls silent in the middle and stays so"),
        StackFault("backend_down", "the backend's process is gone", COMPLETION, blow=Blow.STOP_BACKEND),
        StackFault("vanish", "users lose their network and never come back", COMPLETION, habit="vanish"),
        StackFault(
            "slow_reconnect", "users come back only after six to nine seconds", RECONNECT, habit="tunnel"
        ),
        StackFault("renewed_login", "users come back with another login", RECONNECT, habit="renewed"),
        StackFault(
            "loss", "the feed outruns its replay log while its readers are away", INTEGRITY, habit="burst"
        ),
        _backend("repeat", "the backend sends events twice under one id", INTEGRITY),
        _backend("wrong_type", "the backend answers 200 with a web page", SILENT),
        StackFault("spoilt", "a proxy in front changes what clients get", SILENT, blow=Blow.SPOIL_FRONT),
        StackFault("sidecar_down", "the sidecar is killed", DOWN, blow=Blow.KILL_SIDECAR),
        StackFault(
            "sidecar_frozen", "the sidecar is stopped and does not answer", DOWN, blow=Blow.FREEZE_SIDECAR
        ),
    )
}


def table() -> str:
    """Return a text with the faults, their alerts and their runbooks."""
    faults = [*FAULTS.values()]
    name, alert = max(len(fault.name) for fault in faults), max(len(fault.alert) for fault in faults)
    rows = [f"  {fault.name:{name}}  {fault.alert:{alert}}  {fault.what}" for fault in faults]
    alerts = dict.fromkeys(fault.alert for fault in faults)
    return "\n".join(["Faults:", *rows, "", "Runbooks:", *(f"  {links.runbook(each)}" for each in alerts)])
