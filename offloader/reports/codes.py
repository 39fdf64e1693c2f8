"""What codes mean, in plain words: verdicts, reasons, rule modes, assurances, states, Article 30's columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from offloader.reports.message import marked as _


class Wording(NamedTuple):
    """What a code means, and what somebody should do about it (empty: nothing)."""

    meaning: str
    remedy: str = ""


VERDICTS: Final[Mapping[str, str]] = {
    "MOVE": _("Move"),
    "KEEP": _("Keep"),
    "BLOCKED": _("Blocked"),
    "REVIEW": _("Review"),
}

_MAIL = _("It belongs to an e-mail that is not finished: the link would be sent in place of the file.")
_SCANNED_LATER = _("Nothing; a later scan finds it by itself.")

REASONS: Final[Mapping[str, Wording]] = {
    "PLACED": Wording(_("A store lies wholly in the permitted countries and was chosen.")),
    "ALREADY_GONE": Wording(_("Its link stands and its original is gone already: only the ledger has to catch up.")),
    "NO_COMPLIANT_TARGET": Wording(
        _("No configured store lies wholly in the countries that the rules permit."),
        _("Leave it in the CRM, or add a store in a permitted country."),
    ),
    "NO_PROOF": Wording(
        _("A store would qualify, but the proof of its place is missing or out of date."),
        _("Renew the proof of that store's place and plan again."),
    ),
    "UNKNOWN_SIGNAL": Wording(
        _("A country is missing on its records, or is not understood. Unknown counts as forbidden."),
        _("Correct the record in the CRM, or configure another signal."),
    ),
    "NO_RULE_COVERS": Wording(
        _("No rule in force speaks about such a document of that country."),
        _("Have counsel look at it and extend the rules."),
    ),
    "SPLIT_REQUIRED": Wording(
        _("Its records belong to countries that have no permitted place in common, though each alone has one."),
        _("Separate the records' files in the CRM, then plan again."),
    ),
    "CONFLICT": Wording(_("The rules that apply leave no permitted place at all."), _("Have counsel look at it.")),
    "COPY_NEEDED": Wording(
        _("A rule asks for a full copy in a country where no store is."),
        _("Add a store in that country."),
    ),
    "NO_VERSIONS": Wording(_("The document has no version that could be moved."), _("Look at it in the CRM.")),
    "CRM_REFUSES": Wording(
        _("The CRM does not let offloader replace it."), _("Read the CRM's own reason in the evidence.")
    ),
    "HALF_MOVED": Wording(
        _("The decision changed after its link was written; original, copy and link all stand."),
        _("Undo what changed, or delete the link in the CRM, and plan again."),
    ),
    "HELD": Wording(
        _("A legal hold covers it. While the hold stands it is not moved and not removed."),
        _("Nothing; two people can release the hold, with a reason."),
    ),
    "RETURNED": Wording(
        _("It was erased at a person's request, and the CRM shows it again."),
        _("Have a new plan of erasure approved: offloader erase replay."),
    ),
    "RETENTION_CONFLICT": Wording(
        _("One retention duty says keep, another says erase by an earlier day."),
        _("Have counsel decide; until then it is neither used nor erased."),
    ),
    "BELOW_MIN_BYTES": Wording(_("It is smaller than the size from which the policy moves documents.")),
    "DELETED_IN_CRM": Wording(_("A user deleted it before it was moved.")),
    "NOT_SELECTED": Wording(_("No clause of the policy selects it.")),
    "KEPT_BY_CLAUSE": Wording(_("A clause of the policy says that it stays.")),
    "REVIEW_BY_CLAUSE": Wording(
        _("A clause of the policy asks that a person looks at it."), _("Look at it, or change the clause.")
    ),
    "CONDITION_UNKNOWN": Wording(
        _("The CRM does not say what a clause of the policy asks for."), _("Correct the record in the CRM.")
    ),
    "CLAUSES_CONTRADICT": Wording(
        _("Clauses of the policy that select it prefer different stores."), _("Narrow one of the clauses.")
    ),
    "RULES_OVERDUE": Wording(
        _("A rule that applies is past the day by which a person should have looked at it again."),
        _("Have the rule checked, then plan again."),
    ),
    "note": Wording(_("It is a note, text of the CRM and not a file.")),
    "link": Wording(_("It is a link and holds no bytes.")),
    "external": Wording(_("Its bytes are in an external system already.")),
    "asset": Wording(_("It is an asset file: sites and apps refer to it by its id.")),
    "archived": Wording(_("It is archived in the CRM."), _("Bring it back in the CRM first, if it should move.")),
    "malicious": Wording(_("The CRM's malware scan condemned it."), _("Have your security officer look at it.")),
    "referred": Wording(_("A template, dashboard, report or site refers to it by its id.")),
    "library": Wording(_("It is only in a library, where templates and branding may use it.")),
    "feed": Wording(_("It hangs on a feed post, which would lose it.")),
    "sent-email": Wording(
        _("It hangs on a sent e-mail, and the running user may not change sent e-mails."),
        _("Grant the permission “Update Email Messages”, if these files should move."),
    ),
    "empty": Wording(_("It has no bytes.")),
    "own_link": Wording(_("It is a placeholder that offloader itself made.")),
    "table-not-listed": Wording(
        _("It hangs on a table whose documents may not be moved."), _("Add the table, if these are documents.")
    ),
    "no-parent": Wording(_("It hangs on no record, so nothing says whose it is.")),
    "portal-file": Wording(_("It is content of a portal, whose pages need it.")),
    "template": Wording(_("It is part of an e-mail template: the link would go out to recipients.")),
    "draft-mail": Wording(_MAIL),
    "unsent-mail": Wording(_MAIL),
    "failed-mail": Wording(_MAIL),
    "canceled-mail": Wording(_("It belongs to a cancelled e-mail, which the CRM keeps read-only.")),
    "unseen-mail": Wording(
        _("It belongs to an e-mail that offloader may not see."), _("Grant the right to read, if these should move.")
    ),
    "recent-mail": Wording(_("It belongs to an e-mail that changed a short while ago."), _SCANNED_LATER),
    "inline-image": Wording(_("It is a picture in an e-mail's text, which would lose it.")),
    "shared-too-widely": Wording(_("So many e-mails share it that they cannot be changed together.")),
    "no-link-place": Wording(
        _("Its table has no place for a link."), _("Name a column for links, if these should move.")
    ),
    "too-small": Wording(_("It is so small that a placeholder would save nothing.")),
    "foreign-placeholder": Wording(_("Another program has moved the file and left a placeholder.")),
}
#: a code that a policy or a connector of somebody else has made
OTHER: Final = Wording(_("The decision's own sentence says why."))

MODES: Final[Mapping[str, str]] = {
    "HARD": _("Every copy must be in the listed countries."),
    "PRIMARY": _("The primary copy must be in the listed countries; offloader keeps every copy of its own there."),
    "COPY": _("A full copy must be in the listed countries; others may be elsewhere."),
    "COND": _("In the listed countries freely; elsewhere only on a recorded transfer basis."),
    "RECIPIENT": _("A condition on who receives the data; no bound on the place."),
    "DENY": _("Never in the listed countries."),
    "REACH": _("Anywhere, if the authority gets prompt and full access."),
    "EXPORT_GATE": _("No bound on the place; handing the data out needs an approval."),
    "FREE": _("No bound on the place."),
    "SUSPENDED": _("The text exists but is suspended; it is shown and not applied."),
    "PENDING": _("Not yet in force; it is shown and not applied."),
    "EXCLUDED": _("The policy leaves this rule out, with a reason."),
    "RULES_OVERDUE": _("Rules still applied that a person should have looked at again."),
    "REVIEW_OVERDUE": _("Still applied, but a person should have looked at this rule again."),
}

#: how the sentence of a condition begins that is not about places
_RECIPIENT: Final = "a condition on the recipient"

#: the same in two or three words
MEASURES: Final[Mapping[str, str]] = {
    "PROVEN": _("measured"),
    "ATTESTED": _("stated by a person"),
    "UNPROVEN": _("not known"),
    "VIOLATION": _("violated"),
    "DRIFT": _("changed"),
}
ASSURANCES: Final[Mapping[str, str]] = {
    "PROVEN": _("Measured. The storage provider itself answered every question about where the bytes can be."),
    "ATTESTED": _("A person's statement, not a measurement. Ask that person."),
    "UNPROVEN": _("Not known. A question about the place had no answer; nothing is written there."),
    "VIOLATION": _("Bytes can be outside the stated place; nothing is written there."),
    "DRIFT": _("The place is no longer what was proven before; nothing is written there."),
}

STATES: Final[Mapping[str, Wording]] = {
    "seen": Wording(_("Listed, not decided.")),
    "planned": Wording(_("To be moved, not begun.")),
    "copied": Wording(_("Copied, not yet verified. The original stands.")),
    "verified": Wording(_("Copied and verified. The original stands.")),
    "linked": Wording(_("Copied, verified and linked. The original stands.")),
    "done": Wording(_("Moved: copy verified, link read back, original removed.")),
    "kept": Wording(_("Stays in the CRM.")),
    "blocked": Wording(_("Stays in the CRM: no store may have it.")),
    "review": Wording(_("Stays in the CRM until a person has looked.")),
    "conflict": Wording(_("Somebody changed it meanwhile. It stays, and is decided again.")),
    "failed": Wording(_("An error; nothing is lost. The next run tries again.")),
    "held": Wording(_("Frozen by a legal hold.")),
    "restored": Wording(_("Put back into the CRM.")),
    "erased": Wording(_("Erased under the retention schedule.")),
}

#: the states in a word or two
STATE_NAMES: Final[Mapping[str, str]] = {
    "seen": _("listed"),
    "planned": _("not begun"),
    "copied": _("copied"),
    "verified": _("verified"),
    "linked": _("linked"),
    "done": _("moved"),
    "kept": _("kept"),
    "blocked": _("blocked"),
    "review": _("to be reviewed"),
    "conflict": _("conflict"),
    "failed": _("failed"),
    "held": _("held"),
    "restored": _("put back"),
    "erased": _("erased"),
}
#: the categories that documents of a CRM most often have; the others are called by their codes
CATEGORIES: Final[Mapping[str, str]] = {
    "accounting": _("accounting"),
    "annual_accounts": _("annual accounts"),
    "bank_customer_data": _("data of bank customers"),
    "banking": _("banking"),
    "books": _("books"),
    "business_letters": _("business letters"),
    "business_records": _("business records"),
    "consent_record": _("records of consent"),
    "contracts": _("contracts"),
    "correspondence": _("correspondence"),
    "export_controlled": _("export-controlled data"),
    "health_data": _("health data"),
    "health_record": _("health records"),
    "important_data": _("important data"),
    "insurance_records": _("insurance records"),
    "invoices": _("invoices"),
    "job_application": _("job applications"),
    "non_personal_data": _("data that are not personal"),
    "payments": _("payments"),
    "personal_data": _("personal data"),
    "prospect_data": _("data of prospects"),
    "tax_records": _("tax records"),
    "telecom_metadata": _("telecom metadata"),
    "vat_records": _("VAT records"),
    "vouchers": _("vouchers"),
}

#: columns of the record of processing (GDPR Article 30(1))
PROCESSING: Final[Mapping[str, str]] = {
    "processing_name": _("Processing"),
    "controller": _("Controller"),
    "joint_controllers": _("Joint controllers"),
    "dpo_contact": _("Data protection officer"),
    "purposes": _("Purposes"),
    "legal_basis": _("Legal basis"),
    "lia_ref": _("Legitimate-interest assessment"),
    "data_subject_categories": _("Categories of data subjects"),
    "data_categories": _("Categories of personal data"),
    "special_categories": _("Special categories"),
    "recipients": _("Recipients"),
    "third_countries": _("Third countries"),
    "safeguards": _("Safeguards for transfers"),
    "erase_time_limits": _("Time limits for erasure"),
    "security_measures": _("Security measures"),
    "processor": _("Processors"),
    "dpia_ref": _("Data protection impact assessment"),
    "last_review": _("Last review"),
    "source": _("Where this row comes from"),
}
SAID: Final[Mapping[str, str]] = {
    "approve": _("approves"),
    "approved": _("approves"),
    "reject": _("rejects"),
    "rejected": _("rejects"),
    "withdraw": _("withdraws"),
    "withdrawn": _("withdraws"),
}


def reason(code: str) -> Wording:
    return REASONS.get(code, OTHER)


def asks(mode: str, sentence: str) -> str:
    """What a rule of a mode asks for; of a condition that is not about places, its sentence tells."""
    return MODES.get("RECIPIENT" if sentence.startswith(_RECIPIENT) else mode, mode)
