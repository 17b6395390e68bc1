"""The way between people and a server, and all that can be wrong with it: in userspace, or for real."""
