"""The two HTTP/1.1 ends: connections of clients, and connections to the upstream."""
