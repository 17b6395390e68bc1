"""The demo: a small LLM chat API and its page.

Nothing here knows that a sidecar exists: the API must work unchanged with and without one in front.
"""
