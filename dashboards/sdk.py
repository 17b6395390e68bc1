"""The parts of grafana-foundation-sdk that dashboards are built of; everything of it is imported from here.

Importing the SDK warns that version 2 of the dashboard schema is preferred. Grafana before 13 imports only
version 1, so exactly that warning is not passed on; any other still is.
"""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings(
        "ignore", message="Prefer using dashboardv2.Dashboard instead", category=DeprecationWarning
    )
    from grafana_foundation_sdk.builders import (
        common,
        dashboard,
        heatmap,
        prometheus,
        stat,
        table,
        timeseries,
    )
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models import common as common_model
    from grafana_foundation_sdk.models import dashboard as dashboard_model
    from grafana_foundation_sdk.models import heatmap as heatmap_model
    from grafana_foundation_sdk.models import prometheus as prometheus_model

__all__ = [
    "JSONEncoder",
    "common",
    "common_model",
    "dashboard",
    "dashboard_model",
    "heatmap",
    "heatmap_model",
    "prometheus",
    "prometheus_model",
    "register_default_plugins",
    "stat",
    "table",
    "timeseries",
]
