"""The connections to the upstream: a request, its attempts and its response."""
