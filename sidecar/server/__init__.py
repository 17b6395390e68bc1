"""The process: composition, listeners, signals, drain, and the watchdog."""
