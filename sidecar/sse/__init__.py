"""The event stream format and its providers."""
