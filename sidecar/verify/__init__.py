"""Verification of streams: scenarios, loads, checks and reports."""
