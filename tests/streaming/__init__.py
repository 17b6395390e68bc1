"""The acceptance suite: every promise of the product in one file."""
