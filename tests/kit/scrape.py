"""Read a sidecar's metrics from samples of any origin."""

from collections.abc import Iterable
from typing import Self

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from sidecar.config.routes import CANARY_ROUTE


class Scrape:
    """All samples of one moment."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = list(samples)

    @classmethod
    def of_text(cls, exposition: str) -> Self:
        """Read what /metrics answers."""
        families = text_string_to_metric_families(exposition)
        return cls(sample for family in families for sample in family.samples)

    @property
    def samples(self) -> list[Sample]:
        """All of them."""
        return list(self._samples)

    @property
    def of_users(self) -> Self:
        """The same without what the sidecar's own canary has caused."""
        return type(self)(s for s in self._samples if s.labels.get("route") != CANARY_ROUTE)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of this name that carry these labels."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def outcomes(self) -> dict[str, int]:
        """Return how many streams ended in each way, without the zeros."""
        counts: dict[str, int] = {}
        for sample in self._samples:
            if sample.name == "sse_streams_finished_total" and sample.value:
                outcome = sample.labels["outcome"]
                counts[outcome] = counts.get(outcome, 0) + int(sample.value)
        return counts

    def proof(self, **labels: str) -> tuple[float, float, float]:
        """Return how many messages are confirmed, acknowledged and delivered: each is part of the next."""
        confirmed, acknowledged, delivered = (
            self.metric(f"sse_messages_{tier}_total", **labels)
            for tier in ("confirmed", "acknowledged", "delivered")
        )
        return confirmed, acknowledged, delivered

    def conservation(self, **labels: str) -> dict[str, float]:
        """Return what the conservation laws leave over: all zeros, always, for each route too."""

        def m(name: str, **more: str) -> float:
            return self.metric(name, **labels, **more)

        return {
            "streams": m("sse_streams_started_total")
            - m("sse_streams_finished_total")
            - m("sse_streams_active"),
            "messages": m("sse_messages_received_total")
            - m("sse_messages_delivered_total")
            - m("sse_messages_lost_total", stage="sidecar")
            - m("sse_messages_duplicated_total", disposition="suppressed", stage="upstream")
            - m("sse_unread_messages_total")
            - m("sse_log_messages", state="undelivered"),
        }
