"""Streams: the replay log, the upstream's reader, the subscribers, and the hub."""
