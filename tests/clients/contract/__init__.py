"""Programs that speak the service protocol of LaunchDarkly's SSE contract tests around our clients."""
