"""What it takes to see for oneself that streams survive: faults on the way, put there on purpose."""
