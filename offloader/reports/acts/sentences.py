"""Sentences that plans of acts keep in English, to be said in another language: see `offloader.reports.sentences`."""

from __future__ import annotations

from typing import Final

from offloader.reports.message import marked as _

_OF_PURGING: Final = (
    _("{field} is empty: nobody knows how old it is"),
    _("{field} holds no date"),
    _("{field} lies in the future ({day})"),
    _("{field} is {day}, younger than {age}"),
    _("{field} is {day}, older than {age}"),
    _("{field} is none of the values that the rule names"),
    _("{field} is not empty"),
    _("the CRM does not say {field}"),
    _("the record does not say what `when` asks for"),
    _("the rule's condition does not hold for it"),
    _("must be kept until {day}, and gone by {end} ({rules})"),
    _("must be kept until {day} ({rules})"),
    _("the term of {rules} has not begun, or the record does not say when it did"),
    _("it should have been gone by {day}"),
    _("more than {n} levels hang below it"),
    _("more than {n} records would go with it"),
    _("a {type} does not say what it hangs on"),
    _("a {type} hangs on it and forbids its deletion"),
    _("documents hang on it that are not moved yet, such as {record}"),
    _("records hang on it, and the rule takes none along"),
    _("no store may hold its archive"),
    _("no place for its archive: {rest}"),
    _("{record} may not be copied ({verdict}): {rest}"),
    _("it was changed since the plan"),
    _("the rule does not want it gone any more: {rest}"),
    _("it was deleted before this run came to it"),
    _("it is there, but was not given when it was asked for"),
    _("it is not found, and the CRM does not say that it was deleted"),
    _("a {type} hangs on it that was not there when it was planned"),
    _("a {type} that goes with it was changed since the plan"),
    _("the document {record} hangs on it, which was not there when it was planned"),
    _("the document {record} that hangs on it was changed since the plan"),
    _("the document {record} is decided otherwise since the plan"),
    _("the CRM refuses: {text}"),
)
_OF_LIMITS: Final = (
    _("it deletes {n} records, the limit is {least}"),
    _("it copies {n} bytes of documents, the limit is {least}"),
    _("it deletes {n} of {type}, the limit is {least}"),
    _("{name} deletes {n} records, its limit is {least}"),
    _("{name} deletes {share} of all {type}, the limit is {most}"),
)
_OF_EXPIRY: Final = (
    _("it had to be erased by {day}"),
    _("it was found deleted in the CRM on {day}, and its grace ended on {end}"),
    _("it had to be kept until {day}, and the policy says: delete"),
    _("the policy does not know all of its duties ({text})"),
    _("the CRM does not say when the term of {rules} begins"),
    _("the CRM once said {day}: if less is right, say so with `offloader expire accept`"),
    _("a copy of it is locked: {text}"),
    _("{first}, and must be kept until {day}: restrict it, do not delete it"),
)
_OF_REHOMING: Final = (
    _("the policy names {named} today"),
    _("the proof of {name} is {word}: {rest}"),
    _("it lies in {name} ({spot}), today it may lie in {spot2}"),
    _("it lies in {name} ({spot}), today it may lie in one of {n} others"),
    _("it lies where its place cannot be proven"),
    _("the store {name} is not configured: its copy can neither be read nor erased"),
    _("the place of {name} cannot be proven now: {rest}"),
    _("{first}, and there is no place for it: {rest}"),
    _("{first}, and the policy would have it in the CRM: put it back with `offloader restore`"),
    _("its copy in {name} stays there: {text}"),
    _("it lies in its new place, but {rest}"),
    _("it lies in {name} as well, of which the plan says nothing"),
    _("decided otherwise since the plan: {word}, {rest}"),
    _("its object is locked: {text}"),
)
_OF_ERASURE: Final = (
    _("legal hold {hold}: nothing is moved or removed until it is released"),
    _("legal hold {hold}"),
    _("duties to keep and to erase it contradict each other ({rules}): a person decides"),
    _("it has to be kept until {day} ({rules}), Article 17(3)(b)"),
    _("a duty to keep it has no date yet ({rules})"),
    _("only a name matches, and there is no record that could be taken off it"),
    _("its kind has no link that could be taken off one record: do it in the CRM"),
    _("its original is in the CRM: take the record off it there, and scan again"),
    _("its title, file name or details name the person, and would stay: rename it first, or erase it"),
    _("its records or versions changed since the plan: plan it again"),
    _("a lock keeps a copy in the store {name}: {text}"),
    _("found by {found}"),
)
OF_ACTS: Final = (
    *_OF_PURGING,
    *_OF_LIMITS,
    *_OF_EXPIRY,
    *_OF_REHOMING,
    *_OF_ERASURE,
    # two sentences in one; tried last
    _("{first}, but {rest}"),
)
#: what a document was found by
FOUND: Final = (_("record"), _("title"), _("file name"), _("catalog"), _("tombstone"))
#: units of a duration (ISO 8601), for one and for several
UNITS: Final = {
    "Y": (_("{n} year"), _("{n} years")),
    "M": (_("{n} month"), _("{n} months")),
    "W": (_("{n} week"), _("{n} weeks")),
    "D": (_("{n} day"), _("{n} days")),
}
