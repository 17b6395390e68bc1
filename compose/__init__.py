"""All around the sidecar on one machine: backend, users, Prometheus, Alertmanager, a sink for alerts."""
