"""The nemesis: misfortunes that a seed draws, against people who record what they get."""
