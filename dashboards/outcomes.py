"""The colours of the ends of a stream, wherever they are drawn."""

from sidecar.observability.labels import Outcome

OUTCOME_COLOURS = {
    Outcome.COMPLETED: "green",
    Outcome.CLIENT_CANCELLED: "blue",
    Outcome.CLIENT_LEFT: "light-blue",
    Outcome.CLIENT_ABANDONED: "light-red",
    Outcome.UPSTREAM_ERROR: "red",
    Outcome.UPSTREAM_TRUNCATED: "semi-dark-red",
    Outcome.STALL_UNRECOVERED: "dark-red",
    Outcome.RESUME_EXPIRED: "super-light-red",
    Outcome.SIDECAR_ERROR: "dark-orange",
    Outcome.ORPHANED: "semi-dark-orange",
}
"""Warm is failure, and only failure; what the user wanted is blue."""
