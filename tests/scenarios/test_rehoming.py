"""Re-homing: documents that were moved follow the law, the rules and the proofs of today."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from offloader.disposition.acts import Report
from offloader.disposition.rehoming import RehomeSummary, plan_rehoming
from offloader.disposition.rehoming_apply import apply_rehoming
from offloader.errors import Drift, Refused, StoreFull, Transient
from offloader.holds import Hold, Scope
from offloader.ledger import holding, open_ledger
from offloader.model import Assurance, Decision, Document, DocumentRef, Reason, Retention, Verdict
from offloader.moves.catalog import PREFIX
from offloader.moves.rebuild import rebuild
from offloader.moves.restore import find, restore
from offloader.moves.site import Limits
from offloader.moves.verify import reconcile, verify
from offloader.ports import Store, Target, Terms
from offloader.testing import MemoryStore
from offloader.wrappers.faulty import Faulty
from offloader_connectors.filesystem.plugin import STORE
from tests.scenarios.conftest import CountryPolicy, House


@dataclass
class Rules:
    """The country's store, unless something else is said: `to` names other stores, `verdict` another verdict."""

    to: tuple[str, ...] = ()
    verdict: Verdict | None = None
    retention: Retention | None = None
    fingerprint: str = "rules"
    terms: Terms = field(default_factory=Terms)

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        if self.verdict is not None:
            return Decision(verdict=self.verdict, reasons=(Reason("SAID", "the rule says so", rule="R-1"),))
        decision = replace(CountryPolicy().decide(document, targets, now), retention=self.retention)
        if self.to and decision.verdict is Verdict.MOVE:
            return replace(decision, store=self.to[0], copies=self.to[1:])
        return decision


@pytest.fixture
def rules(house: House) -> Rules:
    house.policy = Rules()
    return house.policy


def moved(house: House, *, kind: str = "Note", body: bytes = b"x", country: str = "DE") -> tuple[DocumentRef, Any]:
    """A document that was moved, and the account that it hangs on."""
    account = house.account(country)
    ref = house.source.crm.document(kind, body, parents=[account])
    assert house.run().moved == 1
    return ref, account


def moves_to(house: House, account: Any, country: str) -> None:
    house.source.crm.records[account] = {"country": country}


def planned(house: House, **how: Any) -> RehomeSummary:
    for site in house.site():
        return plan_rehoming(site, **how)
    raise AssertionError


def applied(house: House, plan: str) -> Report:
    for site in house.site():
        return apply_rehoming(site, plan)
    raise AssertionError


def rehomed(house: House) -> Report:
    summary = planned(house)
    assert summary.row is not None
    return applied(house, summary.row.id)


def stores_of(house: House, ref: DocumentRef) -> list[list[str]]:
    return [[copy.store for copy in version.copies] for version in house.entry(ref).versions]


def bodies(store: Store) -> list[bytes]:
    return sorted(b"".join(store.read(key)) for key, _ in store.list("documents/"))


def named_in(store: Store, ref: DocumentRef) -> list[str]:
    """Keys of catalog segments that name a document."""
    found = []
    for key, _ in store.list(PREFIX):
        if ref.id.encode() in b"".join(store.read(key)):
            found.append(key.rpartition(".")[2])
    return sorted(found)


def test_a_document_follows_its_account_to_another_country(house: House, rules: Rules) -> None:
    """The bytes lie only in the new country, both catalogs say so, the link is as it was, and all places agree."""
    ref, account = moved(house, body=b"secret")
    link = house.entry(ref).link
    moves_to(house, account, "US")

    summary = planned(house)
    assert bodies(house.us) == []
    assert summary.row is not None
    report = applied(house, summary.row.id)

    assert dict(summary.codes) == {"move PLACE_NOT_PERMITTED": 1}
    assert "it lies in de (DE), today it may lie in US" in summary.examples["move PLACE_NOT_PERMITTED"]
    assert (report.states, report.data["bytes"], report.data["copies_erased"]) == ({"done": 1}, 6, 1)
    assert (bodies(house.de), bodies(house.us)) == ([], [b"secret"])
    assert stores_of(house, ref) == [["us"]]
    assert (named_in(house.de, ref), named_in(house.us, ref)) == ([], ["jsonl", "states"])
    assert house.entry(ref).link == link
    for site in house.site():
        assert verify(site).same
        assert reconcile(site).same
        assert plan_rehoming(site).row is None
        assert restore(site, [find(site, str(ref))]).restored == 1
    assert house.source.crm.bytes_of(ref) == [b"secret"]


def test_a_ledger_is_rebuilt_from_the_new_places(house: House, rules: Rules) -> None:
    """After a re-homing, a lost ledger comes back from the catalogs without a complaint, with the new place."""
    ref, account = moved(house)
    stays, _ = moved(house)
    moves_to(house, account, "US")
    rehomed(house)
    (house.directory / "ledger.sqlite").unlink()

    for site in house.site():
        report = rebuild(site)

    assert (report.documents, report.errors, report.states) == (2, [], {"done": 2})
    assert (stores_of(house, ref), stores_of(house, stays)) == ([["us"]], [["de"]])


@pytest.mark.parametrize("assurance", [Assurance.VIOLATION, Assurance.DRIFT])
def test_a_proof_that_turned_bad_empties_its_store(house: House, rules: Rules, assurance: Assurance) -> None:
    """Documents of a store whose proof says another place go to the next store that may have them."""
    de2 = house.wrapped_stores["de2"] = MemoryStore("de2", countries=["DE"], now=house.clock.now)
    ref, _ = moved(house, kind="File")
    house.de.assurance = assurance

    report = rehomed(house)

    assert report.states == {"done": 1}
    assert (bodies(house.de), bodies(de2), stores_of(house, ref)) == ([], [b"x"], [["de2"]])


def test_a_proof_that_is_merely_missing_moves_nothing(house: House, rules: Rules) -> None:
    """That a place cannot be proven today is said, for a person; the documents stay where they were proven to be."""
    house.wrapped_stores["de2"] = MemoryStore("de2", countries=["DE"], now=house.clock.now)
    moved(house)
    house.de.assurance = Assurance.UNPROVEN

    assert dict(planned(house).codes) == {"review PLACE_UNPROVEN": 1}


def test_what_has_no_permitted_place_is_said_and_stays(house: House, rules: Rules) -> None:
    """A document whose country has no store is named as blocked, and applying the plan does not touch it."""
    ref, account = moved(house)
    moves_to(house, account, "FR")

    summary = planned(house)

    assert dict(summary.acts) == {"blocked": 1}
    assert summary.loud[0].startswith(f"{ref}: ")
    assert summary.row is not None
    assert applied(house, summary.row.id).states == {}
    assert bodies(house.de) == [b"x"]


def test_a_record_that_is_gone_leaves_the_law_unknown(house: House, rules: Rules) -> None:
    """Where the CRM no longer shows a document's record, nothing is moved by what was known of it once."""
    _, account = moved(house)
    del house.source.crm.records[account]
    rules.to = ("us",)

    assert dict(planned(house).codes) == {"review UNKNOWN_SIGNAL": 1}


@pytest.mark.parametrize(
    ("verdict", "codes"), [(Verdict.KEEP, {}), (Verdict.REVIEW, {"review SAID": 1})], ids=["keep", "review"]
)
def test_a_policy_that_no_longer_moves_takes_nothing_away(
    house: House, rules: Rules, verdict: Verdict, codes: dict[str, int]
) -> None:
    """What is kept or unclear by the rules of today stays in the store where it lies well."""
    moved(house)
    rules.verdict = verdict

    assert dict(planned(house).codes) == codes
    assert bodies(house.de) == [b"x"]


def test_a_better_place_and_a_further_copy_can_be_left_out(house: House, rules: Rules) -> None:
    """A second store that the policy wants gets its copy; `only_forbidden` passes over documents that lie well."""
    de2 = house.wrapped_stores["de2"] = MemoryStore("de2", countries=["DE"], now=house.clock.now)
    ref, _ = moved(house)
    rules.to = ("de2", "de")

    assert planned(house, only_forbidden=True).row is None
    assert rehomed(house).data["copies_erased"] == 0

    assert bodies(house.de) == bodies(de2) == [b"x"]
    assert stores_of(house, ref) == [["de", "de2"]]


def held(house: House, ref: DocumentRef, *, moves: bool) -> None:
    hold = Hold(
        id="",
        matter="Doe",
        scope=Scope(documents=(str(ref),), pks=(house.entry(ref).pk,)),
        reason="because",
        freezes_moves=not moves,
        person="anna",
        proof="login:anna",
        at="",
    )
    holding.add(house.directory / "ledger.sqlite", house.clock.now(), hold, lambda statement: "")


def test_a_hold_freezes_a_document_where_it_is(house: House, rules: Rules) -> None:
    """A held document is not moved: not when the plan is made under the hold, nor when the hold came after it."""
    ref, account = moved(house)
    moves_to(house, account, "US")
    summary = planned(house)
    held(house, ref, moves=False)

    assert dict(planned(house).acts) == {"held": 1}
    assert summary.row is not None
    report = applied(house, summary.row.id)

    assert report.states == {"held": 1}
    assert "matter Doe" in report.examples["held"]
    assert (bodies(house.de), bodies(house.us)) == ([b"x"], [])


def test_a_hold_that_lets_moves_go_on_keeps_the_old_copy(house: House, rules: Rules) -> None:
    """The new copy is made, the old one stays and is said to; it stays listed in the next plan."""
    ref, account = moved(house)
    moves_to(house, account, "US")
    held(house, ref, moves=True)

    report = rehomed(house)

    assert report.states == {"held": 1}
    assert "its copy in de stays" in report.examples["held"]
    assert bodies(house.de) == bodies(house.us) == [b"x"]
    assert stores_of(house, ref) == [["de", "us"]]
    assert planned(house).acts["move"] == 1


def test_a_lock_keeps_the_old_copy_and_is_said(house: House, rules: Rules) -> None:
    """What the old store does not let go stays in the ledger with its place, and in the next plan."""
    ref, account = moved(house)
    moves_to(house, account, "US")
    house.de.lock(house.entry(ref).versions[0].copies[0].key)

    report = rehomed(house)

    assert report.states == {"held": 1}
    assert "in de stays there" in report.examples["held"]
    assert stores_of(house, ref) == [["de", "us"]]
    assert planned(house).acts["move"] == 1


def test_the_new_copy_is_locked_as_long_as_duties_ask(house: House, rules: Rules) -> None:
    """In a store that locks, the new copy may not go before the document's duties end."""
    ref, account = moved(house)
    moves_to(house, account, "US")
    rules.retention = Retention(keep_until=date(2033, 12, 31), rules=("TAX-7",))
    house.us.capabilities = replace(house.us.capabilities, retains=True)

    assert rehomed(house).states == {"done": 1}

    lock = house.us.locked(house.entry(ref).versions[0].copies[0].key)
    assert lock is not None
    assert lock.until == datetime(2034, 1, 1, tzinfo=UTC)


def test_what_changed_since_the_plan_is_left_alone(house: House, rules: Rules) -> None:
    """An account that moved back, and a document that was restored, are conflicts: nothing of them is copied."""
    _, account = moved(house)
    other, second = moved(house)
    moves_to(house, account, "US")
    moves_to(house, second, "US")
    summary = planned(house)
    assert summary.row is not None
    moves_to(house, account, "DE")
    moves_to(house, second, "FR")
    for site in house.site():
        restore(site, [find(site, str(other))])

    report = applied(house, summary.row.id)

    assert bodies(house.us) == []
    assert report.states == {"conflict": 2}


def test_another_proof_than_the_plan_rests_on_is_drift(house: House, rules: Rules) -> None:
    """Nothing is copied to a store that shows another place than when the plan was made."""
    _, account = moved(house)
    moves_to(house, account, "US")
    summary = planned(house)
    assert summary.row is not None
    house.us.countries = frozenset({"US", "CN"})

    with pytest.raises(Drift, match="us"):
        applied(house, summary.row.id)
    assert bodies(house.us) == []


def test_the_operators_limits_hold(house: House, rules: Rules) -> None:
    """A plan of more documents than the limit is refused before anything is copied."""
    for _ in range(2):
        _, account = moved(house)
        moves_to(house, account, "US")
    summary = planned(house)
    assert summary.row is not None
    house.limits = Limits(documents=1)

    with pytest.raises(Refused, match="the limit is 1"):
        applied(house, summary.row.id)
    assert bodies(house.us) == []


def test_a_spoiled_copy_is_never_what_is_kept(house: House, rules: Rules) -> None:
    """Bytes that do not read as they were verified are not moved, and the only copy is not erased."""
    ref, account = moved(house)
    moves_to(house, account, "US")
    house.de.corrupt(house.entry(ref).versions[0].copies[0].key)

    report = rehomed(house)

    assert report.states == {"failed": 1}
    assert (len(bodies(house.de)), bodies(house.us), stores_of(house, ref)) == (1, [], [["de"]])


def test_a_new_place_that_does_not_give_back_erases_nothing(house: House, rules: Rules) -> None:
    """The old copy goes only after the new one was read back from its store."""

    class Forgetful(MemoryStore):
        def stat(self, key: str) -> Any:
            return None

    ref, account = moved(house)
    moves_to(house, account, "US")
    house.wrapped_stores["us"] = Forgetful("us", countries=["US"], now=house.clock.now)

    assert rehomed(house).states == {"failed": 1}
    assert (bodies(house.de), stores_of(house, ref)) == ([b"x"], [["de"]])


@pytest.mark.parametrize("trouble", [StoreFull("full"), Transient("503")], ids=["full", "passing"])
def test_trouble_of_a_store_is_made_good_by_the_next_run(house: House, rules: Rules, trouble: Exception) -> None:
    """A store that cannot take it costs nothing: the document stays, and goes when the store can."""
    ref, account = moved(house)
    moves_to(house, account, "US")
    house.wrapped_stores["us"] = Faulty(house.us).on("put", raise_=trouble).port
    summary = planned(house)
    assert summary.row is not None

    first = applied(house, summary.row.id)

    assert bodies(house.de) == [b"x"]
    assert first.states["done"] == 0
    last = applied(house, summary.row.id) if first.stopped else rehomed(house)
    assert last.states == {"done": 1}
    assert (bodies(house.de), bodies(house.us), stores_of(house, ref)) == ([], [b"x"], [["us"]])


class Killing:
    """A store that ends its process before, or after, the n-th call of a method."""

    def __init__(self, inner: Store, method: str, nth: int, *, after: bool) -> None:
        self._inner, self._method, self._left, self._after = inner, method, nth, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name != self._method:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            last = self._left == 0
            if last and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = found(*args, **kwargs)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call


def _on_disk(house: House, name: str, country: str) -> Store:
    options = {
        "path": str(house.directory / name),
        "country": country,
        "attested_by": "a test",
        "attested_until": "2199-12-31",
    }
    for site in house.site():
        return STORE.open(name, STORE.options.model_validate(options), site.context)
    raise AssertionError


@pytest.mark.parametrize(
    ("store", "method", "nth", "after"),
    [
        ("us", "put", 1, False),
        ("us", "put", 1, True),
        ("us", "put", 3, False),  # the catalog's first segment
        ("us", "put", 5, True),  # its last
        ("de", "erase", 1, False),
        ("de", "erase", 1, True),
        ("de", "erase", 2, True),
        ("de", "erase", 3, True),  # in the old catalog
    ],
)
def test_killed_anywhere_it_ends_the_same(
    house: House, rules: Rules, store: str, method: str, nth: int, after: bool
) -> None:
    """A process that is killed at any step, and started again, ends as one clean run: each byte in one place."""
    de, us = _on_disk(house, "de", "DE"), _on_disk(house, "us", "US")
    house.wrapped_stores = {"de": de, "us": us}
    refs = [moved(house, body=body)[0] for body in (b"one", b"two")]
    for account in list(house.source.crm.records):
        moves_to(house, account, "US")
    summary = planned(house)
    assert summary.row is not None
    child = os.fork()
    if child == 0:
        house.wrapped_stores[store] = Killing(house.wrapped_stores[store], method, nth, after=after)
        applied(house, summary.row.id)
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])

    for ref in refs:
        assert any((house.directory / name / copy).exists() for name, copy in _places(house, ref))
    report = applied(house, summary.row.id)

    assert report.states["failed"] == report.states["conflict"] == 0
    assert (bodies(de), bodies(us)) == ([], [b"one", b"two"])
    assert [stores_of(house, ref) for ref in refs] == [[["us"]], [["us"]]]
    assert [named_in(de, ref) for ref in refs] == [[], []]
    for site in house.site():
        assert verify(site).same
        assert plan_rehoming(site).row is None


def _places(house: House, ref: DocumentRef) -> list[tuple[str, str]]:
    return [(copy.store, copy.key) for version in house.entry(ref).versions for copy in version.copies]


def test_the_log_has_the_evidence(house: House, rules: Rules) -> None:
    """For each erased copy the log names store, key and digest, and the log still verifies."""
    ref, account = moved(house)
    old = house.entry(ref).versions[0].copies[0]
    moves_to(house, account, "US")
    rehomed(house)

    with open_ledger(house.directory / "ledger.sqlite", now=house.clock.now, exclusive=False) as ledger:
        events = [event for event in ledger.events() if event.type == "rehomed"]
    erased = [each for event in events for each in event.data.get("erased", ())]
    assert [(each["store"], each["key"], each["sha256"], each["versions"]) for each in erased] == [
        ("de", old.key, old.digest.sha256, 1)
    ]
    assert events[0].rule == "TEST-1"
