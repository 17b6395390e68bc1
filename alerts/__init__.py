"""Recording and alerting rules, generated from the objectives.

Run ``python -m alerts`` to write them.
"""
