"""Examples that stand beside a policy: given a document and stores, expect a decision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta

from offloader.model import Decision, Document, DocumentRef, LocationProof, Parent, Version
from offloader.plugins import CaseResult
from offloader.ports import Target
from offloader_policies.language.model import Case, Expect, Given, GivenStore
from offloader_policies.language.policy import FilePolicy


def run(policy: FilePolicy, now: datetime) -> Iterator[CaseResult]:
    """Run every example of the policy, those of the layers below included, each on its day or now."""
    for number, case in enumerate(policy.book.content.tests):
        where = policy.book.origin("tests", number)
        moment = datetime.combine(case.given.on, time(12), UTC) if case.given.on else now
        yield CaseResult(case.name, where, tuple(_differences(policy, case, moment)))


def decide(policy: FilePolicy, given: Given, now: datetime) -> Decision:
    """What the policy says of a made-up document."""
    document = made(given)
    targets = [_target(name, store, now) for name, store in given.stores.items()]
    judge = policy.decide_selected if given.selected else policy.decide
    return judge(document, targets, now)


def made(given: Given) -> Document:
    """The document that an example describes."""
    return Document(
        ref=DocumentRef(given.source, given.kind, "given"),
        title=given.name,
        versions=tuple(
            Version(id=f"given-{number}", number=number, name=given.name, size=given.size, mime=given.mime)
            for number in range(1, given.versions + 1)
        ),
        parents=tuple(Parent(type=each.type, id=each.id, signals=dict(each.signals)) for each in given.parents),
        owner=given.owner,
        created=_midnight(given.created),
        modified=_midnight(given.modified),
    )


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None


def _target(name: str, store: GivenStore, now: datetime) -> Target:
    proof = LocationProof(
        store=name,
        assurance=store.assurance,
        countries=frozenset(store.countries),
        taken=now,
        expires=now + timedelta(days=1),
        summary="made up by a test",
    )
    return Target(name, proof, store.price)


def _differences(policy: FilePolicy, case: Case, now: datetime) -> Iterator[str]:
    decision, expect = decide(policy, case.given, now), case.expect
    asked = expect.model_fields_set
    for name, wanted, got in _compared(policy, expect, decision, now):
        if name in asked and wanted != got:
            why = f" ({decision.code}: {decision.reasons[-1].text})" if name == "verdict" else ""
            yield f"{name}: expected {_said(wanted)}, got {_said(got)}{why}"
    if expect.includes is not None:
        missing = _places(policy, expect.includes, now) - decision.countries
        if missing:
            yield f"includes: {_said(missing)} not permitted; permitted: {_said(decision.countries)}"
    if expect.excludes is not None:
        wrong = _places(policy, expect.excludes, now) & decision.countries
        if wrong:
            yield f"excludes: {_said(wrong)} permitted"
    if expect.rules is not None:
        applied = {reason.rule for reason in decision.reasons}
        missing = frozenset(expect.rules) - applied
        if missing:
            yield f"rules: {_said(missing)} not among the reasons"


def _compared(
    policy: FilePolicy, expect: Expect, decision: Decision, now: datetime
) -> Iterator[tuple[str, object, object]]:
    yield "verdict", expect.verdict, decision.verdict
    yield "code", expect.code, decision.code
    yield "store", expect.store, decision.store
    yield "copies", frozenset(expect.copies or ()), frozenset(decision.copies)
    yield "countries", _places(policy, expect.countries or (), now), decision.countries
    yield "categories", frozenset(expect.categories or ()), frozenset(decision.categories)
    yield "clauses", frozenset(expect.clauses or ()), frozenset(decision.clauses)


def _places(policy: FilePolicy, words: Iterable[str], now: datetime) -> frozenset[str]:
    return policy.tables.atlas.resolve(words, now.astimezone(UTC).date())


def _said(value: object) -> str:
    if isinstance(value, frozenset):
        shown = sorted(map(str, value))
        more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
        return f"{{{', '.join(shown[:20])}{more}}}" if shown else "none"
    return "none" if value is None else str(value)
