"""Whether this instance should be given new traffic."""


class Readiness:
    """Whether the sidecar takes new requests.

    A drain makes it unready. A refusing upstream is a reason, but another instance has the same upstream.
    """

    def __init__(self) -> None:
        self.draining = False
        self.upstream_ok = True

    def reasons(self) -> list[str]:
        """Return what is wrong, in words."""
        return [
            *(["draining"] if self.draining else []),
            *([] if self.upstream_ok else ["the upstream refused the last connection"]),
        ]

    def told(self) -> dict[str, object]:
        """Return whether it is ready, with reasons.

        Reasons beside ``ready: true`` mean degraded.
        """
        ready, reasons = not self.draining, self.reasons()
        return {"ready": ready, "degraded": ready and bool(reasons), "reasons": reasons}
