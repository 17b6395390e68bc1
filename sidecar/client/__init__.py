"""The Python client: one event stream over as many connections as it takes, and nothing lost in silence."""
