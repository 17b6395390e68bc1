"""Soak test: seeded faults against clients that record what they receive."""
