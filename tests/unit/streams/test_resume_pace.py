"""The wait of clients that resume again and again."""

from sidecar.streams.resume_pace import QUICK_RESUME_S, RETRY_JITTER_RATIO, RETRY_MS, ResumePace


def test_quick_resumes_wait_longer_up_to_a_bound() -> None:
    pace = ResumePace()
    waits = [pace.retry_ms(float(now), 0.0) for now in range(8)]
    assert waits == [0, 1000, 2000, 4000, 5000, 5000, 5000, 5000]


def test_a_resume_after_a_while_starts_again() -> None:
    pace = ResumePace()
    pace.retry_ms(0.0, 0.0)
    assert pace.retry_ms(1.0, 0.0) == RETRY_MS[1]
    assert pace.retry_ms(1.0 + QUICK_RESUME_S, 0.0) == 0


def test_the_jitter_is_bounded() -> None:
    pace = ResumePace()
    pace.retry_ms(0.0, 1.0)
    assert pace.retry_ms(1.0, 1.0) == int(RETRY_MS[1] * (1 + RETRY_JITTER_RATIO))


def test_the_retry_of_the_backend_stays() -> None:
    pace = ResumePace()
    pace.set_by_upstream = True
    pace.retry_ms(0.0, 0.0)
    assert pace.retry_ms(1.0, 0.0) == 0
