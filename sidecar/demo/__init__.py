"""A small LLM chat API and its page: the backend that the sidecar is shown and tested with.

Nothing here knows that a sidecar exists: the API must work unchanged with and without one in front.
"""
