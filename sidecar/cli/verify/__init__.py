"""The commands of ``verify``: scenarios, load, proxy and report."""
