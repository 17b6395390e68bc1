"""The event stream format: framing, event ids, endings, and waits to reconnect."""
