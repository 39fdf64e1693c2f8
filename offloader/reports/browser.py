"""What the browser's table says in one language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from offloader.reports import codes
from offloader.reports.message import marked as _
from offloader.reports.model import Report
from offloader.reports.words import Words

_PLACE: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")

TEXTS: Final[Mapping[str, str]] = {
    "language": _("Language"),
    "documents": _("All documents"),
    "intro": _("Search, filter and sort; open a line to see everything that is known about its document."),
    "noscript": _("This table needs JavaScript. The same documents are in the spreadsheet and the CSV file."),
    "cut": _(
        "This page holds {shown} of {total} documents, exceptions first. All of them are in {xlsx} and {csv}, if these"
        " were made as well."
    ),
    "skip": _("Skip to the report"),
    "search": _("Search in everything"),
    "filters": _("Filters"),
    "all": _("all"),
    "none": _("none"),
    "clear": _("Clear filters"),
    "count": _("{from}–{to} of {found} documents"),
    "nothing": _("No document matches."),
    "pages": _("Pages"),
    "previous": _("Previous page"),
    "next": _("Next page"),
    "details": _("Details of document {number}"),
    "open": _("Details"),
    "not_known": _("not known"),
}
#: titles of the columns, of the filters and of what a line shows when it is opened
TITLES: Final[Mapping[str, str]] = {
    "number": _("No."),
    "verdict": _("Decision"),
    "code": _("Code"),
    "name": _("Document"),
    "bytes": _("Size"),
    "modified": _("Modified"),
    "laws": _("Law of"),
    "categories": _("Category"),
    "store": _("Store"),
    "places": _("Country of the store"),
    "outcome": _("State"),
    "meaning": _("Meaning"),
    "remedy": _("What to do"),
    "reason": _("Reason"),
    "rules": _("Rules"),
    "signals": _("What its records say"),
    "parents": _("Records"),
    "narrowing": _("What each rule took away"),
    "countries": _("Permitted countries"),
    "from": _("The CRM holds it in"),
    "where": _("In the CRM"),
    "versions": _("Versions"),
    "mime": _("Content type"),
    "created": _("Created"),
    "checksum": _("Checksum in the CRM"),
    "copies": _("Further copies in"),
    "assurance": _("Proof of the place"),
    "proof": _("SHA-256 of the proof"),
    "bases": _("Transfer bases"),
    "clauses": _("Clauses of the policy"),
    "keep_until": _("Keep until"),
    "erase_by": _("Erase by"),
    "retention": _("Retention duties"),
    "holds": _("Legal holds"),
    "owner": _("Owner"),
    "due": _("Due"),
    "saved_month": _("Saved a month, US dollars"),
    "stored": _("Stored as"),
    "sha256": _("SHA-256"),
    "done_at": _("Done at"),
    "detail": _("Detail"),
}


def words(spoken: Words, report: Report, texts: Iterable[str]) -> dict[str, Any]:
    """The table's words; countries are named where their codes stand among `texts`, codes where the report has them."""
    used = sorted({code for _verdict, code in report.codes})
    return {
        "title": f"{report.id} · " + spoken.say(_("Dry-run report") if report.mode == "dry-run" else _("Run report")),
        "tag": spoken.locale.language,
        "texts": {key: spoken.say(text) for key, text in TEXTS.items()},
        "titles": {key: spoken.say(text) for key, text in TITLES.items()},
        "verdicts": {key: spoken.say(text) for key, text in codes.VERDICTS.items()},
        "names": {code: spoken.say(text) for code, text in {**codes.STATE_NAMES, **codes.CATEGORIES}.items()},
        "codes": {code: [spoken.say(text) for text in codes.reason(code)] for code in used},
        "countries": {code: spoken.country(code) for code in texts if _PLACE.fullmatch(code)},
    }
