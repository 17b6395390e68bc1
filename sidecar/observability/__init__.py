"""Metrics, log lines, error codes and objectives."""
