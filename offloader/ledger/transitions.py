"""The legal moves between the states of a document version.

The migrations write this table into the database, whose trigger refuses every other move, whoever asks.

Some moves that look odd, and why they are legal:

- copied and verified may be re-decided (kept, blocked, review, held): the policy may change while bytes are on
  their way, and the original is still whole in the CRM.
- verified → done: in-place kinds are linked and removed in one act.
- verified → copied: a copy that no longer reads back is verified afresh.
- linked → verified: somebody took the link away before the original was removed; it is linked again.
- linked → review: the document needs a person although its link stands; both can still be read.
- conflict → done, failed → done: the answer to an act was lost and the act turns out to be carried out.
- done → done is not legal, and neither is any other move of a state to itself.
- everything may become erased: a data subject's document may never have been moved. Nothing leaves erased: an erased
  version has no bytes anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from offloader.model import State

_DECIDED = frozenset({State.PLANNED, State.KEPT, State.BLOCKED, State.REVIEW, State.HELD})
_REDECIDABLE = _DECIDED | {State.SEEN}


def _decided(state: State) -> frozenset[State]:
    return (_REDECIDABLE | {State.CONFLICT, State.FAILED}) - {state}


_MOVES: Mapping[State, frozenset[State]] = {
    State.SEEN: _DECIDED | {State.CONFLICT, State.FAILED},
    State.KEPT: _decided(State.KEPT),
    State.BLOCKED: _decided(State.BLOCKED),
    State.REVIEW: _decided(State.REVIEW),
    State.HELD: _decided(State.HELD),
    State.CONFLICT: _decided(State.CONFLICT) | {State.DONE},
    State.FAILED: _decided(State.FAILED) | {State.DONE},
    State.PLANNED: _REDECIDABLE - {State.PLANNED} | {State.COPIED, State.CONFLICT, State.FAILED},
    State.COPIED: _REDECIDABLE | {State.VERIFIED, State.CONFLICT, State.FAILED},
    State.VERIFIED: _REDECIDABLE | {State.COPIED, State.LINKED, State.DONE, State.CONFLICT, State.FAILED},
    State.LINKED: frozenset(
        {
            State.DONE,
            State.CONFLICT,
            State.FAILED,
            State.HELD,
            State.RESTORED,
            State.SEEN,
            State.VERIFIED,
            State.REVIEW,
        }
    ),
    State.DONE: frozenset({State.RESTORED}),
    State.RESTORED: _REDECIDABLE,
}

LEGAL: Mapping[State, frozenset[State]] = {old: moves | {State.ERASED} for old, moves in _MOVES.items()} | {
    State.ERASED: frozenset()
}


def legal(old: State, new: State) -> bool:
    """Whether a version may go from one state to the other."""
    return new in LEGAL[old]


def rows() -> list[dict[str, str]]:
    """The table as the migrations write it: {"from_state", "to_state"}, sorted."""
    return [{"from_state": old.value, "to_state": new.value} for old in State for new in sorted(LEGAL[old])]
