"""Grafana dashboards, generated from the metric catalogue and the objectives: `python -m dashboards`."""
