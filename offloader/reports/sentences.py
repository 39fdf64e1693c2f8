"""The sentences of decisions and proofs, which plans keep in English: found again here, to be said in another language.

A sentence is one of `FORMS`, or parts with "; " between them of which some are. What a policy's author, a table of
rules, a CRM or a store has written of itself is in no form and stays in its own words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, Protocol

from offloader.reports.acts.sentences import OF_ACTS, UNITS
from offloader.reports.codes import MEASURES as MEASURED
from offloader.reports.message import marked as _

_PLACES: Final = r"\{[^}]*\}|(?:\d+|…) places"
#: what stands in a hole, by its name; elsewhere any text without "; "
_HOLES: Final[Mapping[str, str]] = {
    "n": r"\d+|…",
    "least": r"\d+|…",
    "day": r"\d{4}-\d\d-\d\d|…",
    "end": r"\d{4}-\d\d-\d\d|…",
    "places": _PLACES,
    "assurance": r"[A-Z]+",
    #: rules in brackets, which not every sentence has
    "named": r"(?: \([^()]*\))?",
    "unanswered": r"(?: \(not answered: [^()]*\))?",
    #: what somebody has written, in quotes
    "quoted": r"'.*'|\".*\"|…",
    "text": r".+",
    "age": r"P(?:\d+[YMWD])+",
    "share": r"[\d.e+-]+%",
    "most": r"[\d.e+-]+%",
    "spot": r"[A-Z]{2}(?:-\w+)?(?: [A-Z]{2}(?:-\w+)?)*",
    "spot2": r"[A-Z]{2}(?:-\w+)?(?: [A-Z]{2}(?:-\w+)?)*",
}
_ANY: Final = r"(?:(?!; ).)+?"
_HOLE: Final = re.compile(r"\{(\w+)\}")
_SEPARATOR: Final = "; "

#: what can settle a document, or tell of one rule
_OF_RULES: Final = (
    _("all copies only in {places}"),
    _("every copy of ours only in {places}"),
    _("a full copy in {places}"),
    _("without a transfer basis only in {places}"),
    _("never in {places}"),
    _("anywhere, if the authority has prompt access"),
    _("no bound on the place"),
    _("handing the data out needs an approval"),
    _("suspended, not applied"),
    _("not yet in force, not applied"),
    _("a condition on the recipient, no bound on the place"),
    _("for {part} and unknown parts of {nation}: {rest}"),
    _("on the transfer basis {basis} ({owner}, until {day})"),
    _("the transfer basis {basis} ({owner}) ended on {day} and does not count"),
    _("the transfer basis {basis} ({owner}) begins on {day} and does not count"),
    _("confidence low"),
    _("not applied: the operator declares the volume {declared}"),
    _("not applied: in force from {day} to {end}"),
    _("not applied: in force from {day}"),
    _("not applied: in force to {end}"),
    _("not applied: {why}"),
    _("still applied, but it should have been looked at again by {day}"),
    _("still applied, but it should have been looked at again"),
)
_OF_DECISIONS: Final = (
    _("{n} places -> {places}"),
    _("{step} -> {places}"),
    _("{n} places"),
    _("countries {signals}"),
    _("categories {signals}"),
    _("{store} is in {places}, {assurance}"),
    _("the document has no version that could be moved"),
    _("{n} bytes are less than min_bytes, {least}"),
    _("no rule in force speaks about such a document of {places}"),
    _("past their review date: {rules}"),
    _("its records' countries leave no common place ({rules})"),
    _("its records' countries leave no place where all its copies may be ({rules})"),
    _("a separate file for each could be moved"),
    _("the rules leave no common place: {rules}"),
    _("the rules leave no place where all its copies may be: {rules}"),
    _("waits for {stores}, which has no current proof of its place"),
    _("it would come before {stores}"),
    _("only stores without a current proof of their place could take it: {stores}{named}"),
    _("only stores without a current proof by the provider of their place could take it: {stores}{named}"),
    _("no store lies wholly in {places}{named}"),
    _("stores: {stores}"),
    _("needed: {copies}{named}"),
    _("{n} full copies in different stores"),
    _("stores that may hold one: {stores}"),
    _("no record that the document hangs on says a country"),
)
_OF_RETENTION: Final = (
    _("to be kept until {day}{named}"),
    _("to be gone after {day}{named}"),
    _("no end yet for {rules}: no record says that its term has begun{named}"),
    _("one duty keeps the document longer than another allows: a person has to look before anything is erased"),
)
_OF_CLAUSES: Final = (
    _("no clause of the policy selects it"),
    _("what is not selected stays"),
    _("the CRM does not say what this clause asks for"),
    _("its clauses name different stores to prefer"),
    _("its clauses name different price classes"),
)
_CLAUSE: Final = (
    _("move"),
    _("move: {why}"),
    _("classify"),
    _("classify: {why}"),
)
#: of one code only: a look at any other sentence could mistake it for one of these
_SIGNAL: Final = (
    _("no record that the document hangs on says a country"),
    _("{record} has the {signal} {quoted}, which is no known country"),
    _("{record} has no {signal}"),
    _("and {n} more"),
)
_OF_PLANS: Final = (
    _("the original is gone and its link stands"),
    _("it was deleted in the CRM"),
    _("the decision changed after its link was written: undo that, or delete the link, and plan again"),
    _("legal hold {hold}: nothing is moved or removed until it is released"),
    _("it was erased on {day} ({ground}) and is there again: see `offloader erase replay`"),
    _("the CRM no longer lists this version"),
)
_OF_RUNS: Final = (
    _("found in the store"),
    _("nothing is lost, the next run tries again"),
    _("nothing was linked or removed"),
    _("nothing was removed, it is tried again in the next run"),
    _("{what}: the store {store} holds other bytes than were sent"),
    _("{what}: the bytes read ({size}) do not match the CRM's own checksum"),
    _("{what}: {size} bytes were read, the CRM says {other}"),
    _("{what}: version {version} has no verified copy in {stores}"),
    _("a copy of it could not be taken away from where it may no longer be: {rest}"),
)
_OF_SOURCES: Final = (
    _("already replaced by a placeholder"),
    _("another program has moved the file and left a placeholder"),
    _("it hangs on no record, so nothing says whose it is"),
    _("content of a portal: a style sheet, script or picture that pages need"),
    _("part of a template: the link would go out to recipients"),
    _("its record's table is not among those whose documents may be moved (parents)"),
    _("smaller than min_size"),
    _("on a mail that is a draft: the link would be sent instead of the file"),
    _("on a mail that is about to be sent: the link would be sent instead of the file"),
    _("on a mail that could not be sent and may be tried again"),
    _("on a mail that was canceled, which the CRM keeps read-only"),
    _("on a mail whose state may not be seen"),
    _("on a mail that was changed not long ago (mail_min_age_days)"),
    _("shown within a mail's text, which would break"),
    _("more than {n} mails share it, which cannot be changed together"),
    _("its table has no notes to hold a link"),
    _("name a text column in link_columns"),
    _("a note of the CRM, not a file"),
    _("already a link"),
    _("its bytes live in an external system, not in the CRM"),
    _("an asset file: sites and apps refer to it by its id"),
    _("archived in the CRM"),
    _("bring it back there first"),
    _("the CRM's malware scan condemned it"),
    _("used by a template, dashboard, report or site"),
    _("only in a library, where templates and branding may use it"),
    _("attached to a feed post, which would lose it"),
    _("on a sent e-mail, and the running user lacks the permission Update Email Messages"),
    _("it has no bytes, and the CRM would not take an attachment without bytes back"),
)
_OF_STORES: Final = (
    _("{who} attests until {day} that this disk is in {place}"),
    _("nobody attests where this folder is: set attested_by and attested_until"),
    _("the attestation of {who} ran out at the end of {day}: have the place confirmed again and set attested_until"),
    _("unproven: {rest}"),
    _("violation: {rest}"),
    _("drift: {rest}"),
    _("proven: the bucket {bucket} and everything that comes from it is in {countries}"),
    _("AWS has answered {n} questions"),
    _(
        "attested: the bucket {bucket} and everything that comes from it is in {countries}, as {who} vouches until "
        "{day}{unanswered}"
    ),
    _("all copies are in {countries}: Azure's management API says so"),
    _("all copies are in {countries}: {who} attests it until {day}"),
)
_MEASURES: Final = (
    _("SHA-256 of every copy checked"),
    _("SHA-256 of every copy checked, encrypted with age before it leaves the machine"),
    _("SHA-256 of every copy checked, object lock"),
    _("SHA-256 of every copy checked, encrypted with age before it leaves the machine, object lock"),
)
_DIFFERENCE: Final = (
    _("policy {name}"),
    _("table {name}"),
    _("proof {name}"),
)
FORMS: Final = (
    *_OF_RULES,
    *_OF_DECISIONS,
    *_OF_RETENTION,
    *_OF_CLAUSES,
    *_OF_PLANS,
    *_OF_RUNS,
    *_OF_SOURCES,
    *_OF_STORES,
    *_MEASURES,
)
#: stand for a code where the place of a sentence says what it is about
DUTY: Final = "DUTY"
MEASURES: Final = "MEASURES"
CHANGE: Final = "CHANGE"
ACTS: Final = "ACTS"
#: forms that are tried first, or only, where the sentence's code, or the table it stands in, is known
BY_CODE: Final[Mapping[str, tuple[str, ...]]] = {
    "UNKNOWN_SIGNAL": _SIGNAL,
    "CLAUSE": (*_CLAUSE, _("categories {categories}")),
    DUTY: (_("{duty} (waiting)"),),
    MEASURES: (_("generated({policy})"), _("{store}: {rest}")),
    CHANGE: _DIFFERENCE,
    ACTS: OF_ACTS,
}
#: what stands inside holes of places, stores and lists
_INSIDE: Final = (
    (re.compile(r"\b(\d+) places\b"), _("{n} places")),
    (re.compile(r" and (\d+) more$"), _(" and {n} more")),
    (re.compile(r"(?<=\()not answered: "), _("not answered: ")),
    (re.compile(r"^none$"), _("none")),
    (re.compile(r"^unknown$"), _("unknown")),
)
#: a store with its places and its proof's word
_STORE: Final = re.compile(rf"((?:^|(?<=, ))[^\s{{}}]+ )({_PLACES}) ([A-Z]+)")
_AGE: Final = re.compile(r"(\d+)([YMWD])")
_COUNTRIES: Final = re.compile(r"\{([^}]*)\}")
_NESTED: Final = frozenset({"places", "stores", "signals", "unanswered"})
_AND: Final = _(" and ")
_NOWHERE: Final = _("none")


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a sentence: its English text with holes, and what finds it."""

    text: str
    pattern: re.Pattern[str]


class Speech(Protocol):
    """A language: its texts of the catalogs, and its names of countries."""

    def say(self, text: str) -> str: ...

    def countries(self, codes: Iterable[str]) -> str: ...


@cache
def forms(code: str = "") -> tuple[Form, ...]:
    """Those that are tried for a sentence with this code, in order."""
    own = BY_CODE.get(code, ())
    return tuple(Form(text, _pattern(text)) for text in (*own, *FORMS))


def _pattern(text: str) -> re.Pattern[str]:
    parts = _HOLE.split(text)
    found = [f"(?P<{part}>{_HOLES.get(part, _ANY)})" if at % 2 else re.escape(part) for at, part in enumerate(parts)]
    return re.compile("".join(found), re.DOTALL)


def said(sentence: str, code: str, speech: Speech) -> str | None:
    """The sentence in a language, with countries by their names; None if no part of it is known."""
    whole = _part(sentence, code, speech)
    if whole is not None or _SEPARATOR not in sentence:
        return whole
    parts = sentence.split(_SEPARATOR)
    told = [_part(part, code, speech) for part in parts]
    if not any(told):
        return None
    return _SEPARATOR.join(part if new is None else new for part, new in zip(parts, told, strict=True))


@lru_cache(1024)
def _beginning(code: str, word: str) -> tuple[Form, ...]:
    """Those that can begin with this word."""
    return tuple(form for form in forms(code) if form.text.partition(" ")[0] == word or form.text.startswith("{"))


def _part(part: str, code: str, speech: Speech) -> str | None:
    for form in _beginning(code, part.partition(" ")[0]):
        match = form.pattern.fullmatch(part)
        if match is not None:
            values = {name: _value(name, value, code, speech) for name, value in match.groupdict().items()}
            return speech.say(form.text).format(**values)
    return None


def _value(name: str, value: str, code: str, speech: Speech) -> str:
    if name in ("rest", "first"):
        return said(value, code if code == ACTS else "", speech) or value
    if name in _READ:
        return _READ[name](value, speech)
    if name in _NESTED:
        value = _STORE.sub(lambda match: f"{match[1]}({match[2]}, {_measure(match[3], speech)})", value)
        value = _COUNTRIES.sub(
            lambda match: speech.countries(match[1].split(", ")) if match[1] else speech.say(_NOWHERE), value
        )
        for pattern, text in _INSIDE:
            value = pattern.sub(lambda match, text=text: _inner(match, text, speech), value)  # type: ignore[misc]
    return value


def _measure(assurance: str, speech: Speech) -> str:
    return speech.say(MEASURED[assurance]) if assurance in MEASURED else assurance


def _inner(match: re.Match[str], text: str, speech: Speech) -> str:
    return speech.say(text).format(n=match[1]) if match.groups() else speech.say(text)


def _copies(value: str, speech: Speech) -> str:
    return speech.say(_AND).join(said(part, "", speech) or part for part in value.split(_AND))


def _age(value: str, speech: Speech) -> str:
    return " ".join(speech.say(UNITS[unit][n != "1"]).format(n=n) for n, unit in _AGE.findall(value))


def _found(value: str, speech: Speech) -> str:
    return ", ".join(speech.say(word) for word in value.split(", "))


def _spot(value: str, speech: Speech) -> str:
    return speech.countries(value.split())


#: what reads a hole by its name
_READ: Final[Mapping[str, Callable[[str, Speech], str]]] = {
    "copies": _copies,
    "assurance": _measure,
    "age": _age,
    "found": _found,
    "spot": _spot,
    "spot2": _spot,
}
