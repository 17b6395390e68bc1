"""Loads: many users at once, with faults, counted independently."""
