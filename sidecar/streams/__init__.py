"""Streams: replay log, upstream reader, subscribers and hub."""
