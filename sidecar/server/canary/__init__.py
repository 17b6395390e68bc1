"""The canary: a known stream through the sidecar, compared."""
