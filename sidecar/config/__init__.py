"""Settings: read, checked, and turned into the policy of each route."""
