"""Words for plans of acts: kinds of plans, what is done to a record or document, how it ended, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from offloader.reports.codes import Wording
from offloader.reports.message import marked as _


class Kind(NamedTuple):
    """What a plan of a kind is called, what carrying it out does, and what its stores are to it."""

    title: str
    does: str
    to: str = _("Goes to")


class Named(NamedTuple):
    """What an act or a state is called, and what it means for the record or document."""

    label: str
    meaning: str


KINDS: Final[Mapping[str, Kind]] = {
    "purge": Kind(
        _("Purge of stale records"),
        _(
            "Records that the policy calls stale are deleted from the CRM, with what hangs on them. Each is first "
            "written to an archive, in a store where its law lets it be, and read back. Nothing else is touched."
        ),
        _("Archived in"),
    ),
    "expire": Kind(
        _("End of retention"),
        _(
            "Stored documents whose time is up are erased: every version, the link in the CRM and the entry in the "
            "catalog. A tombstone without content stays."
        ),
    ),
    "rehome": Kind(
        _("Re-homing"),
        _(
            "Documents that lie elsewhere than today's rules say are copied to their place and read back there; only "
            "then are they erased where they were. Their links stay as they are."
        ),
    ),
    "share": Kind(
        _("Equal bytes, stored once"),
        _(
            "Copies of the same bytes that are bound by the same rules give way to one of them. Every document keeps "
            "its link and its content."
        ),
    ),
    "erase": Kind(
        _("Erasure of a person's documents (GDPR Article 17)"),
        _(
            "What is stored about one person is erased for good: every copy, the link in the CRM, the entry in the "
            "catalog, and the names in the ledger. What a duty to keep or a legal hold covers stays."
        ),
    ),
    "export": Kind(
        _("Handing out a person's documents (GDPR Articles 15 and 20)"),
        _("A rule wants an approval before these documents are handed out. Nothing is changed or removed."),
    ),
}
ACTS: Final[Mapping[str, Named]] = {
    "delete": Named(_("Delete"), _("is deleted from the CRM once its archive is proven")),
    "erase": Named(_("Erase"), _("is erased for good, in every store that has it")),
    "archive": Named(_("Erase from the archive"), _("is taken out of the archive of purged records")),
    "redact": Named(_("Take the person off"), _("stays for others; the person's records are taken off it")),
    "move": Named(_("To another place"), _("is copied to its new place, then erased at the old one")),
    "share": Named(_("Give way"), _("its own object goes; an equal one stands in for it")),
    "export": Named(_("Hand out"), _("is handed out once somebody has approved")),
    "keep": Named(_("Keep"), _("stays as it is")),
    "review": Named(_("Review"), _("stays until a person has looked")),
    "blocked": Named(_("Blocked"), _("stays where it may not be: there is no permitted place for it")),
    "hold": Named(_("Held"), _("stays under a legal hold")),
    "held": Named(_("Held"), _("stays under a legal hold")),
    "wait": Named(_("Locked"), _("stays until the lock on one of its copies ends")),
    "locked": Named(_("Locked"), _("stays until the lock on one of its copies ends")),
    "left": Named(_("Original in the CRM"), _("stays: its original has to be deleted in the CRM")),
}
#: acts that carry something out; all others only say what stays
DOING: Final = frozenset({"delete", "erase", "archive", "redact", "move", "share", "export"})
STATES: Final[Mapping[str, Named]] = {
    "open": Named(_("not done yet"), _("planned, and not done yet")),
    "archived": Named(_("archived"), _("its archive is written; it is not deleted yet")),
    "done": Named(_("done"), _("done, and looked at again afterwards")),
    "restored": Named(_("brought back"), _("done, and brought back later")),
    "kept": Named(_("stayed"), _("stayed, as planned")),
    "held": Named(_("held"), _("stayed: a legal hold or a lock covers it")),
    "skipped": Named(_("passed over"), _("stayed, or was gone already")),
    "conflict": Named(_("changed meanwhile"), _("stayed: it is no longer what was approved")),
    "failed": Named(_("failed"), _("not done: see why")),
}
#: states of acts that were to be carried out and are not
UNDONE: Final = frozenset({"open", "archived", "held", "skipped", "conflict", "failed"})

_OPEN_DUTY: Final = _("Look at the record and at the duty; correct what is missing in the CRM.")
_IN_CRM: Final = _("Look at the record in the CRM, and correct it there.")
REASONS: Final[Mapping[str, Wording]] = {
    "OLD": Wording(_("It is old enough and meets every line of its rule.")),
    "OVERDUE": Wording(_("The same, and by a duty to erase it should have been gone already.")),
    "NO_AGE": Wording(_("Its age field is empty: nobody knows how old it is."), _IN_CRM),
    "TOO_YOUNG": Wording(_("It is younger than the rule says.")),
    "WHERE": Wording(_("A field has none of the values that the rule names.")),
    "NOT_EMPTY": Wording(_("A field that must be empty is not.")),
    "WHEN": Wording(_("The rule's condition does not hold.")),
    "RETENTION": Wording(_("It must still be kept. The latest of all duties counts.")),
    "RESTRICTED": Wording(_("Something hangs on it that forbids its deletion.")),
    "CHILDREN": Wording(_("Records hang on it, and the rule takes none along.")),
    "CASCADE_TOO_LARGE": Wording(_("Too many records would go with it."), _("Purge what hangs on it first.")),
    "CASCADE_TOO_DEEP": Wording(_("Too many levels hang below it."), _("Purge what hangs on it first.")),
    "UNKNOWN_CHILD": Wording(_("The CRM does not say which record a child hangs on."), _IN_CRM),
    "DOCUMENTS": Wording(
        _("Files on it are not moved yet, or may not be copied anywhere."),
        _("Move them first, or let the rule copy them."),
    ),
    "HELD": Wording(
        _("A legal hold covers it, what goes with it, or a document on it."), _("Leave it until the hold is released.")
    ),
    "FUTURE_AGE": Wording(_("Its age field lies in the future."), _IN_CRM),
    "BAD_AGE": Wording(_("Its age field holds no date."), _IN_CRM),
    "UNKNOWN": Wording(_("The CRM did not give a field that the rule asks for."), _("Let offloader read the field.")),
    "WHEN_UNKNOWN": Wording(_("The record does not say what the condition asks for."), _IN_CRM),
    "RETENTION_WAITING": Wording(_("A duty to keep it has not begun, or nothing says when it did."), _OPEN_DUTY),
    "RETENTION_CONFLICT": Wording(_("It must be kept longer than it may be kept."), _("Have counsel decide.")),
    "erase-by": Wording(_("A duty says by when it must be gone.")),
    "kept": Wording(_("It need not be kept any more, and the policy says: delete.")),
    "deleted": Wording(_("It was deleted in the CRM, and the time to think again is over.")),
    "PROOF_TURNED_BAD": Wording(_("The proof of its store's place turned bad.")),
    "PLACE_NOT_PERMITTED": Wording(_("It lies where it may not be today.")),
    "BETTER_PLACE": Wording(_("It may lie where it does; the policy names another place today.")),
    "PLACE_UNPROVEN": Wording(_("The place of its store cannot be proven now."), _("Renew the proof, plan again.")),
    "STORE_UNKNOWN": Wording(_("Its store is not configured any more."), _("Configure it again.")),
    "KEEP_IN_CRM": Wording(_("The policy would have it in the CRM."), _("Put it back with offloader restore.")),
    "shared": Wording(
        _("It hangs on records of others too."), _("Decide: erase it all the same, or take the person off it.")
    ),
    "uncertain": Wording(_("Only a name, a former state or equal bytes match."), _("Look whether it is the person's.")),
    "original in the CRM": Wording(_("Its original is in the CRM."), _("Delete it there and scan again.")),
    "redacted": Wording(_("It stays for others, without the person.")),
}
