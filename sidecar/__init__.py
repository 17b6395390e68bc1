"""A reverse proxy for durable, measured Server-Sent Events."""

__version__ = "0.1.0"
