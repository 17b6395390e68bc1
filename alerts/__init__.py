"""Recording and alerting rules, generated from the service level objectives: `python -m alerts`."""
