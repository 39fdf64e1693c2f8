"""How many bytes one answer may carry adapts to what the environment bears."""

from __future__ import annotations

from offloader_connectors.dynamics365.packed import LEAST, STEP, ByteCap


def test_the_measure_halves_once_for_answers_that_fail_together() -> None:
    """Threads that ask for equal packs and fail together count as one failure; it never goes below a least."""
    cap = ByteCap(8 << 20)
    for _ in range(5):
        cap.failed(8 << 20)
    assert cap.now == 4 << 20
    cap.succeeded()
    assert cap.now == (4 << 20) + STEP
    for _ in range(40):
        cap.failed(cap.now)
    assert cap.now == LEAST
    for _ in range(100):
        cap.succeeded()
    assert cap.now == 8 << 20
