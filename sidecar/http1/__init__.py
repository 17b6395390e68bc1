"""The two HTTP/1.1 ends: clients' and upstream connections."""
