"""The links of an alert: its runbook and its dashboard."""

from sidecar import __version__

RELEASE_TAG = f"v{__version__}"
RUNBOOKS = f"https://github.com/sse-sidecar/sse-sidecar/blob/{RELEASE_TAG}/runbooks"
"""Pinned to the release, so that the page fits the program that is running; a fork changes it here."""

DASHBOARDS = "http://localhost:3000/d"
"""Grafana as its readers reach it; an installation changes it here, or in the generated file."""

LABELS = ("job", "instance", "route")
"""The labels of an alert that are variables on every dashboard."""


def runbook(alert: str) -> str:
    """Return the address of an alert's runbook."""
    return f"{RUNBOOKS}/{alert}.md"


def dashboard(uid: str) -> str:
    """Return a template that opens a dashboard at what the alert is about.

    A label that the alert lacks leaves its variable at the default: an empty one would select nothing.
    """
    variables = (
        f"{{{{ with $labels.{label} }}}}&var-{label}={{{{ urlquery . }}}}{{{{ end }}}}" for label in LABELS
    )
    return f"{DASHBOARDS}/{uid}?from=now-3h&to=now{''.join(variables)}"
