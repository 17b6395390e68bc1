"""The stack on one machine: sidecar, backend, users and monitoring."""
