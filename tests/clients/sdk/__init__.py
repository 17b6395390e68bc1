"""Published clients of other people's making, read through the sidecar."""
