"""Readiness: a drain is unready, a refusing upstream is degraded."""

from sidecar.proxy.readiness import Readiness


def test_a_new_instance_is_ready() -> None:
    assert Readiness().told() == {"ready": True, "degraded": False, "reasons": []}


def test_a_drain_is_unready() -> None:
    readiness = Readiness()
    readiness.draining = True
    assert readiness.told() == {"ready": False, "degraded": False, "reasons": ["draining"]}


def test_a_refusing_upstream_is_degraded_with_a_reason() -> None:
    readiness = Readiness()
    readiness.upstream_ok = False
    told = readiness.told()
    assert (told["ready"], told["degraded"], len(readiness.reasons())) == (True, True, 1)
