"""The plots of the resilience report, as SVG."""
