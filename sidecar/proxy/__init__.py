"""The public listener's ASGI app: what becomes of a client's request."""
