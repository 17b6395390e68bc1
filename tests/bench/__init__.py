"""Benchmarks: what the sidecar costs, always as a ratio against nginx in the same run."""
