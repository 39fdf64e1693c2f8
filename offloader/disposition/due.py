"""What is to become of one stored document by its retention. Pure; unknown means keep."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date

from offloader.ledger.expiring import Waiting
from offloader.model import Decision, Retention, Verdict
from offloader.ports import Ends


class Ground(enum.StrEnum):
    """Why a document's time is up."""

    #: a duty says that it must be gone
    ERASE_BY = "erase-by"
    #: it need not be kept any more, and the policy says `after: delete`
    KEPT = "kept"
    #: it was deleted in the CRM, and the grace is over
    DELETED = "deleted"


class Fate(enum.StrEnum):
    ERASE = "erase"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Due:
    """What is to become of a document now, on which ground, and why in words; nothing here names it."""

    fate: Fate
    ground: Ground
    why: str


#: verdicts behind which every duty was looked for
_KNOWN = (Verdict.MOVE, Verdict.BLOCKED)


def due(decision: Decision, ends: Ends, deleted: Waiting | None, today: date) -> Due | None:
    """Say what is to become of it, by what the policy decides about it now; None: it stays.

    `today` is a day in UTC: `keep_until` is the last day on which it must be there, `erase_by` the last on which it may
    be. `deleted`: its deletion in the CRM, if the grace for it is over. A duty whose term has not begun may ask for
    more than all others, and a policy that cannot decide may not know a duty: then it is for a person.
    """
    retention = decision.retention or Retention()
    keep = retention.keep_until
    kept = keep is not None and today <= keep
    over = _over(retention, ends, deleted, today)
    if over is None:
        return None
    ground, why = over
    if kept and ground is Ground.ERASE_BY:
        return Due(Fate.REVIEW, ground, f"{why}, and must be kept until {keep}: restrict it, do not delete it")
    if kept:
        return None
    if decision.verdict not in _KNOWN:
        said = decision.reasons[-1].text if decision.reasons else decision.code
        return Due(Fate.REVIEW, ground, f"{why}, but the policy does not know all of its duties ({said})")
    if retention.waiting:
        named = ", ".join(retention.waiting)
        return Due(Fate.REVIEW, ground, f"{why}, but the CRM does not say when the term of {named} begins")
    return Due(Fate.ERASE, ground, why)


def _over(retention: Retention, ends: Ends, deleted: Waiting | None, today: date) -> tuple[Ground, str] | None:
    keep, erase = retention.keep_until, retention.erase_by
    if erase is not None and today > erase:
        return Ground.ERASE_BY, f"it had to be erased by {erase}"
    if deleted is not None:
        days = f"{deleted.since:%Y-%m-%d}, and its grace ended on {deleted.due:%Y-%m-%d}"
        return Ground.DELETED, f"it was found deleted in the CRM on {days}"
    if keep is not None and today > keep and ends.after == "delete":
        return Ground.KEPT, f"it had to be kept until {keep}, and the policy says: delete"
    return None
