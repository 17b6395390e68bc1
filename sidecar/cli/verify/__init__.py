"""The commands of `verify`: the six scenarios, load, the fault proxy and the report."""
