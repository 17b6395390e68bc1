"""Metrics, log lines and error codes: what operators see, and the objectives."""
