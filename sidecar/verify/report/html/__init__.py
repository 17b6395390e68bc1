"""The resilience report as one HTML page."""
