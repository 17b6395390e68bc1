"""The canary: a known stream that the sidecar sends through itself and compares."""
