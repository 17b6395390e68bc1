"""A reverse-proxy sidecar that makes Server-Sent Events streams durable, resumable and measured."""

__version__ = "0.1.0"
