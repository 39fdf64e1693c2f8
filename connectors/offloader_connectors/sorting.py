"""Requests of one call that different parts of a source carry out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from offloader.ports import LinkRequest, Outcome

Act = Callable[[Sequence[LinkRequest]], Sequence[Outcome]]


def split(
    requests: Sequence[LinkRequest], belongs: Callable[[LinkRequest], bool], first: Act, second: Act
) -> list[Outcome]:
    """Hand what belongs to the first act to it, everything else to the second, and put the answers back in order."""
    chosen = [belongs(each) for each in requests]
    outcomes: dict[int, Outcome] = {}
    for act, wanted in ((first, True), (second, False)):
        numbers = [number for number, each in enumerate(chosen) if each is wanted]
        if numbers:
            outcomes.update(zip(numbers, act([requests[number] for number in numbers]), strict=True))
    return [outcomes[number] for number in range(len(requests))]
