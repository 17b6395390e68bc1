"""Whether this instance should be given new traffic."""


class Readiness:
    """Draining makes it unready; an upstream that refuses is told, but another instance has the same one."""

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
        """Return whether new requests are welcome; reasons beside ``ready: true`` mean degraded."""
        ready, reasons = not self.draining, self.reasons()
        return {"ready": ready, "degraded": ready and bool(reasons), "reasons": reasons}
