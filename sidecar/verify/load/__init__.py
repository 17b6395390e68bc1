"""Many people at once: what they do, what befalls them, and what is counted of it, twice."""
