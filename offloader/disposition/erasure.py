"""Erasure of a data subject's documents (GDPR Article 17): what is to go, what stays, what a person decides.

A plan of the kind `erase` names documents by their numbers in the ledger and by keyed hashes, never by names or by
ids of the CRM: it is kept when the documents are gone. Only the acts `erase` touch anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from offloader.audit import canonical
from offloader.disposition.acts import draft
from offloader.disposition.archived import Trace, record_mark, search_archives
from offloader.disposition.subjects import Hit, Search, Subject, add_months
from offloader.disposition.terms import follow, promised
from offloader.disposition.tombstones import subject_of
from offloader.errors import ConfigError, Refused
from offloader.ledger import Entry, PlanRow
from offloader.ledger.disposing import Act
from offloader.ledger.erasing import RequestRow
from offloader.model import DocumentRef, Finding, Retention, Severity, State
from offloader.moves.caps import asked
from offloader.moves.holding import Holds
from offloader.moves.restore import find
from offloader.moves.site import Site
from offloader.moves.tombstoned import mark, subject_mark
from offloader.ports import Target

KIND = "erase"
#: acts of such a plan: only the first three are carried out; `redact` takes one person off what stays for others
ERASE, ARCHIVE, REDACT, REVIEW, KEEP, LEFT = "erase", "archive", "redact", "review", "keep", "left"
#: what happens in the CRM: take our link away, delete the row, take the link off one record, nothing (is there)
UNLINK, DELETE, DETACHED, NOTHING = "unlink", "delete", "detach", "nothing"


#: why a person cannot be taken off a document that stays for others
ONLY_NAMED = "only a name matches, and there is no record that could be taken off it"
NO_LINK_OF_ITS_OWN = "its kind has no link that could be taken off one record: do it in the CRM"
ORIGINAL_STANDS = "its original is in the CRM: take the record off it there, and scan again"
NAMES_THE_PERSON = "its title, file name or details name the person, and would stay: rename it first, or erase it"
#: grounds of a data subject's request (Article 17(1)), by their letters
GROUNDS: Mapping[str, str] = {
    "a": "the data are no longer necessary for their purposes",
    "b": "the consent was withdrawn, and there is no other ground",
    "c": "the data subject objects, and no overriding grounds stand against it",
    "d": "the data were processed unlawfully",
    "e": "a legal obligation demands the erasure",
    "f": "the data were collected from a child, for a service offered to it",
}


@dataclass(frozen=True, slots=True)
class Planned:
    """One document of a plan: what is to become of it, why in words, and the holds that stand in the way now."""

    entry: Entry
    act: str
    text: str
    #: the same in words that name nobody
    code: str = "erase"
    why: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    #: what happens in the CRM
    crm: str = NOTHING
    #: in-place kinds: the placeholder in the CRM stays there
    placeholder: bool = False

    @property
    def ref(self) -> DocumentRef:
        return self.entry.document.ref


@dataclass(slots=True)
class ErasurePlan:
    """A sealed plan, or None if nothing was found, with everything that it is about."""

    row: PlanRow | None
    planned: list[Planned] = field(default_factory=list)
    #: records in the archives of purges; those that are not sure are left to a person
    archived: Sequence[Trace] = ()
    strays: Sequence[tuple[str, str, DocumentRef]] = ()
    #: what the CRM's user lacks for deleting what the plan deletes there
    missing: Sequence[Finding] = ()

    def of(self, act: str) -> list[Planned]:
        return [each for each in self.planned if each.act == act]


@dataclass(frozen=True, slots=True)
class _Rules:
    """What decides about each document."""

    site: Site
    targets: Sequence[Target]
    holds: Holds
    included: Collection[int]
    #: documents that stay for others, without the subject's records
    redacted: Collection[int] = ()
    delete_in_crm: bool = False


def plan_erasure(
    site: Site,
    request: RequestRow,
    found: Search,
    *,
    include: Iterable[str] = (),
    redact: Iterable[str] = (),
    delete_in_crm: bool = False,
) -> ErasurePlan:
    """Decide about every document that was found, and seal the plan for this request.

    `include`: documents (SOURCE/KIND/ID, or links) about which a person decided that they go, although they hang on
    others' records too or only a name matches. `redact`: documents about which a person decided that they stay for the
    others, and that the subject's records are taken off them. `delete_in_crm`: originals and placeholders in the CRM
    are deleted too. Raises ConfigError if such a document is none of those that were found, or stands in both lists;
    Gone if there is none such.
    """
    included, redacted = named(site, found, include, "--include"), named(site, found, redact, "--redact-parent")
    if included & redacted:
        raise ConfigError("a document cannot both go (--include) and stay for others (--redact-parent)")
    rules = _Rules(site, site.targets(), Holds.of(site), included, redacted, delete_in_crm)
    fresh = duties_now(site, [hit.entry for hit in found.hits], rules.targets)
    planned = [_decided(rules, replace(hit, entry=fresh[hit.entry.pk])) for hit in found.hits]
    subject = Subject.from_json(request.subject)
    archived = search_archives(site, subject)
    row = None
    if planned or archived:
        row = _sealed(site, {subject.source}, planned, {"request": request.id}, archived)
        site.ledger.save_request(replace(request, plan=row.id))
    return ErasurePlan(row, planned, archived, found.strays, _missing(site, subject.source, planned))


def _missing(site: Site, source: str, planned: Sequence[Planned]) -> list[Finding]:
    """What the CRM says that its user may not do, for the kinds that are deleted there as rows of their own."""
    kinds = {each.ref.kind for each in planned if each.crm == DELETE and each.act == ERASE}
    if not kinds:
        return []
    records = site.records(source)
    found = []
    for kind in sorted(kinds):
        try:
            records.describe(kind)
        except ConfigError:
            continue
        found += [each for each in records.check([kind], delete=True) if each.severity is not Severity.OK]
    return list(dict.fromkeys(found))


def plan_returned(site: Site, entries: Sequence[Entry], *, delete_in_crm: bool = False) -> ErasurePlan:
    """Seal a plan of documents that were erased before and are there again."""
    everything = {entry.pk for entry in entries}
    rules = _Rules(site, site.targets(), Holds.of(site), everything, delete_in_crm=delete_in_crm)
    planned = [_decided(rules, Hit(entry, ["tombstone"], sure=True)) for entry in entries]
    if not planned:
        return ErasurePlan(None)
    return ErasurePlan(_sealed(site, {each.ref.source for each in planned}, planned, {"returned": True}), planned)


def named(site: Site, found: Search, names: Iterable[str], option: str) -> set[int]:
    """Numbers of the documents that a person named by this option. Raises ConfigError if one was not found."""
    known = {hit.entry.pk for hit in found.hits}
    pks = set()
    for name in names:
        entry = find(site, name)
        if entry.pk not in known:
            raise ConfigError(f"{name} is none of the documents that were found; {option} decides about those only")
        pks.add(entry.pk)
    return pks


def _decided(rules: _Rules, hit: Hit) -> Planned:
    entry = hit.entry
    crm, placeholder = _in_crm(entry, delete=rules.delete_in_crm)
    made = Planned(
        entry,
        ERASE,
        "everything of it that offloader can reach",
        why=tuple(hit.why),
        others=hit.others,
        holds=rules.holds.covering(entry),
        crm=crm,
        placeholder=placeholder,
    )
    duty, act = duty_of(rules.site, entry, rules.targets)
    if duty:
        return replace(made, act=act, text=duty, code=duty)
    if entry.pk in rules.redacted and (hit.others or not hit.sure):
        return _redaction(rules, hit, made)
    if entry.pk not in rules.included and not hit.sure:
        text = "only a name, a former state or equal bytes match; --include it if it is to go"
        return replace(made, act=REVIEW, text=text, code="uncertain")
    if entry.pk not in rules.included and hit.others:
        shared = f"it hangs on records of others too: {', '.join(hit.others)}"
        return replace(made, act=REVIEW, text=f"{shared}; --include it if it is to go all the same", code="shared")
    if crm == LEFT:
        text = "its original is in the CRM: delete it there and scan again, or plan with --delete-in-crm"
        return replace(made, act=LEFT, text=text, code="original in the CRM")
    return made


def _redaction(rules: _Rules, hit: Hit, made: Planned) -> Planned:
    """Take the person off the document, or say in words why offloader cannot."""
    reason = _no_redaction(rules.site, hit)
    if not reason:
        text = f"it stays for {len(hit.others)} other records, and the person's records are taken off it"
        return replace(made, act=REDACT, text=text, code="redacted", crm=DETACHED, placeholder=False)
    text = f"the person cannot be taken off it: {reason}"
    return replace(made, act=REVIEW, text=text, code=reason, crm=NOTHING, placeholder=False)


def _no_redaction(site: Site, hit: Hit) -> str:
    """Why a person cannot be taken off a document, in words that name nobody; empty if that is possible."""
    document = hit.entry.document
    kind = site.sources[document.ref.source].capabilities.kind(document.ref.kind)
    if not hit.sure:
        return ONLY_NAMED
    if not kind.multi_parent or kind.strategy.in_place or document.strategy.in_place:
        return NO_LINK_OF_ITS_OWN
    moved = all(version.state is State.DONE for version in hit.entry.versions if not version.gone)
    if not moved or hit.entry.link is None:
        return ORIGINAL_STANDS
    return NAMES_THE_PERSON if set(hit.why) - {"record", "catalog"} else ""


def _in_crm(entry: Entry, *, delete: bool) -> tuple[str, bool]:
    """What is to happen in the CRM, and whether a placeholder of ours stays there."""
    in_place = entry.document.strategy.in_place
    moved = all(version.state is State.DONE for version in entry.versions if not version.gone)
    if entry.deleted and entry.link is None:
        return NOTHING, False
    if moved and not in_place:
        return UNLINK, False
    if entry.deleted:
        return (NOTHING if in_place else UNLINK), False
    if delete:
        return DELETE, False
    return (NOTHING, True) if moved else (LEFT, False)


def duties_now(site: Site, entries: Sequence[Entry], targets: Sequence[Target]) -> dict[int, Entry]:
    """These documents by number; those that were moved have the dates that the CRM says today."""
    found = {entry.pk: entry for entry in entries}
    moved = [each for each in entries if {v.state for v in each.versions if not v.gone} == {State.DONE}]
    return found | follow(site, moved, targets)


def duty_of(site: Site, entry: Entry, targets: Sequence[Target]) -> tuple[str, str]:
    """A duty to keep the document (Article 17(3)(b)) and what follows from it; empty if there is none."""
    now = site.context.now()
    decision = site.policies[entry.document.ref.source].decide(entry.document, targets, now)
    retention = decision.retention or Retention()
    rule = ", ".join(retention.rules)
    if retention.conflict:
        return f"duties to keep and to erase it contradict each other ({rule}): a person decides", REVIEW
    if retention.keep_until is not None and retention.keep_until >= now.date():
        return f"it has to be kept until {retention.keep_until} ({rule}), Article 17(3)(b)", KEEP
    if retention.waiting:
        return f"a duty to keep it has no date yet ({', '.join(retention.waiting)})", REVIEW
    day = promised(site, entry.pk)
    if day is not None and day >= now.date():
        said = f"the CRM once said that it has to be kept until {day}: if less is right, say so with"
        return f"{said} `offloader expire accept`", REVIEW
    return "", ERASE


def _sealed(
    site: Site,
    sources: Collection[str],
    planned: Sequence[Planned],
    scope: Mapping[str, Any],
    archived: Sequence[Trace] = (),
) -> PlanRow:
    made = draft(site, KIND, sources, scope=scope)
    made.add([*(_act(site, each) for each in planned), *(_archived(site, each) for each in archived)])
    going = [each for each in planned if each.act == ERASE]
    totals = {
        "documents": len(going),
        "versions": sum(len(each.entry.versions) for each in going),
        "bytes": sum(each.entry.document.size for each in going),
        "kinds": {kind: sum(each.ref.kind == kind for each in going) for kind in sorted({e.ref.kind for e in going})},
    }
    sure = sum(trace.sure for trace in archived)
    off = sum(each.act == REDACT for each in planned)
    others = f"; the person to be taken off {off} documents that stay for others" if off else ""
    return made.seal(
        f"{len(going)} of {len(planned)} documents, and {sure} archived records, to be erased for good{others}", totals
    )


def _act(site: Site, each: Planned) -> Act:
    copies = sorted(set(places(site, each.entry)))
    return Act(
        subject=subject_of(each.entry.pk),
        act=each.act,
        part=each.ref.kind,
        size=each.entry.document.size,
        body={
            "document": each.entry.pk,
            "mark": mark(site.links, each.ref),
            "source": each.ref.source,
            "versions": sum(not version.gone for version in each.entry.versions),
            "why": list(each.why),
            "others": len(each.others),
            "reason": each.code,
            "holds": list(each.holds),
            "crm": each.crm,
            "placeholder": each.placeholder,
            "copies": [list(copy) for copy in copies],
            "shape": shape(site, each.entry),
        },
    )


def _archived(site: Site, trace: Trace) -> Act:
    mark_ = record_mark(site, trace.ref)
    return Act(
        subject=f"record:{mark_}",
        act=ARCHIVE if trace.sure else REVIEW,
        part="archive",
        body={"mark": mark_, "source": trace.ref.source, "why": [trace.why], "reason": trace.why},
    )


def places(site: Site, entry: Entry) -> Iterator[tuple[str, str]]:
    """Store and key of every copy of the document, of bytes that it had before too."""
    for version in entry.versions:
        for copy in version.copies:
            yield copy.store, copy.key
    yield from site.ledger.stale_copies(entry.pk)


def shape(site: Site, entry: Entry) -> str:
    """A keyed hash of what was decided about: the document's records, versions, and whether the CRM has it."""
    document = entry.document
    parts = [
        sorted([parent.type, parent.id] for parent in document.parents),
        [[version.version.id, version.version.etag] for version in entry.versions],
        entry.link is not None,
    ]
    return subject_mark(site.links, canonical(parts))


def check_caps(site: Site, row: PlanRow) -> None:
    """Raise Refused, naming the cap, when a plan erases more than the operator and the policies allow."""
    caps = asked(site, row.header.sources)[1]
    totals = row.totals
    known = sum(tally.documents for tally in site.ledger.tally().values()) if caps.percent is not None else 0
    share = totals["documents"] * 100 / known if known else 0
    checks: list[tuple[str, float | None, float]] = [
        ("documents", caps.documents, totals["documents"]),
        ("bytes", caps.bytes, totals["bytes"]),
        ("percent", caps.percent, share),
        *((f"kinds.{kind}", most, totals["kinds"].get(kind, 0)) for kind, most in caps.kinds.items()),
    ]
    for rule, most, value in checks:
        if most is not None and value > most:
            raise Refused(
                f"plan {row.id} is refused: it erases {value:.12g} {rule}, the limit is {most:.12g}",
                rule=f"limits.{rule}",
            )


def extend(site: Site, request: RequestRow, reason: str) -> RequestRow:
    """Give a request two further months (Article 12(3)), once, for a reason. Raises Refused if it has them already."""
    if not reason.strip():
        raise ConfigError("say why the request takes longer: the data subject has to be told")
    if "extended" in request.detail:
        raise Refused(
            f"{request.id} was extended on {request.detail['extended']}; there is one extension", rule="art12"
        )
    today: date = site.context.now().date()
    if today > request.due:
        raise Refused(f"{request.id} was due on {request.due}: it cannot be extended any more", rule="art12")
    detail = {**request.detail, "extended": today.isoformat(), "extended_for": reason.strip()}
    longer = replace(request, due=add_months(request.received, 3), detail=detail)
    site.ledger.save_request(longer)
    return longer
