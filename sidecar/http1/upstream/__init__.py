"""The upstream side: a request, its attempts and its response."""
