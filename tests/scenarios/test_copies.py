"""Several copies: every one is verified before a link is written, and one is enough to come back from."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest

from offloader.errors import IntegrityError, Refused, StoreFull, Transient
from offloader.model import Assurance, Decision, Document, Link, Verdict
from offloader.moves.apply import apply_plan
from offloader.moves.plan import make_plan
from offloader.moves.rebuild import rebuild
from offloader.moves.restore import find, restore
from offloader.moves.scan import scan
from offloader.moves.verify import reconcile, verify
from offloader.moves.work import Work
from offloader.ports import Store, Target, Terms
from offloader.testing import MemoryStore, context
from offloader.wrappers.faulty import Faulty
from offloader_connectors.filesystem.location import mount_of
from offloader_connectors.filesystem.plugin import STORE as FILESYSTEM
from tests.scenarios.conftest import CountryPolicy, House

LARGE = b"0123456789abcdef" * (160 << 10)


@dataclass
class Copying:
    """Puts what may move into the store `first`, and full copies into `further`."""

    first: str = "de"
    further: tuple[str, ...] = ("de2",)
    fingerprint: str = "copies"
    terms: Terms = field(default_factory=Terms)

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        decision = CountryPolicy().decide(document, [t for t in targets if t.store in ("de", "us")], now)
        if decision.verdict is not Verdict.MOVE:
            return decision
        return replace(decision, store=self.first, copies=self.further)


@pytest.fixture
def de2(house: House) -> MemoryStore:
    made = MemoryStore("de2", countries=["DE"], now=house.clock.now)
    house.wrapped_stores["de2"] = made
    house.policy = Copying()
    return made


def bodies(store: Store) -> list[bytes]:
    return sorted(b"".join(store.read(key)) for key, _ in store.list("documents/"))


@pytest.mark.parametrize(
    ("kind", "body"), [("File", b"x"), ("Note", b"x"), ("Entry", LARGE)], ids=["file", "note", "large entry"]
)
def test_a_document_lies_in_every_store_that_the_decision_names(
    house: House, de2: MemoryStore, kind: str, body: bytes
) -> None:
    """The bytes are read once from the CRM and lie, verified and described, in both stores; everything agrees."""
    ref = house.source.crm.document(kind, body, parents=[house.account("DE")])
    faulty = Faulty(house.source)
    house.wrapped_source = faulty.port

    report = house.run()

    assert (report.moved, report.versions_copied, report.further_copies, report.bytes) == (1, 1, 1, len(body))
    assert bodies(house.de) == bodies(de2) == [body]
    assert faulty.count("read") == 1
    copies = house.entry(ref).versions[0].copies
    assert [(copy.store, copy.verified_at is not None) for copy in copies] == [("de", True), ("de2", True)]
    for store in (house.de, de2):
        assert [key.rpartition(".")[2] for key, _ in store.list("catalog/")].count("jsonl") == 1
        assert [key.rpartition(".")[2] for key, _ in store.list("catalog/")].count("states") == 1
    for site in house.site():
        assert reconcile(site, deep=True).same
    house.wrapped_source = None
    assert house.run().plan is None


@pytest.mark.parametrize("trouble", [StoreFull("full"), Transient("503"), Refused("read-only")], ids=str)
def test_no_link_before_the_last_copy(house: House, de2: MemoryStore, trouble: Exception) -> None:
    """While a further copy cannot be made, nothing is linked; once it can, the CRM is not read again."""
    ref = house.source.crm.document("Note", b"x", parents=[house.account("DE")])
    faulty = Faulty(house.source)
    house.wrapped_source = faulty.port
    house.wrapped_stores["de2"] = Faulty(de2).on("put", repeat=99, raise_=trouble).port

    first = house.run()

    assert (first.moved, first.failed) == (0, 1)
    assert house.source.crm.bytes_of(ref) == [b"x"]
    assert faulty.count("link") == faulty.count("remove") == 0
    house.wrapped_stores["de2"] = de2

    second = house.run()

    assert (second.moved, second.versions_copied, second.further_copies) == (1, 0, 1)
    assert faulty.count("read") == 1
    assert bodies(house.de) == bodies(de2) == [b"x"]


def test_passing_trouble_of_a_further_store_is_waited_out(house: House, de2: MemoryStore) -> None:
    """A further copy is tried again like a first one."""
    house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.wrapped_stores["de2"] = Faulty(de2).on("put", raise_=Transient("503")).port

    assert (house.run().moved, bodies(de2)) == (1, [b"x"])


def test_a_further_store_that_changes_bytes_is_caught(house: House, de2: MemoryStore) -> None:
    """A further copy that is not what was verified keeps the original in the CRM."""

    class Lying(MemoryStore):
        def put(self, key, chunks, *, size=None, digest=None):  # type: ignore[no-untyped-def]
            return super().put(key, [b"other"] if key.startswith("documents") else chunks)

    ref = house.source.crm.document("File", b"right", parents=[house.account("DE")])
    house.wrapped_stores["de2"] = Lying("de2", countries=["DE"], now=house.clock.now)

    report = house.run()

    assert (report.moved, report.failed) == (0, 1)
    assert house.source.crm.bytes_of(ref) == [b"right"]


def test_a_first_copy_that_spoils_is_no_source_of_further_ones(house: House, de2: MemoryStore) -> None:
    """A streamed body that does not read back from its store as it was verified gets no further copy and no link."""
    ref = house.source.crm.document("File", LARGE, parents=[house.account("DE")])
    house.wrapped_stores["de"] = Faulty(house.de).on("read", repeat=99, corrupt=True).port

    report = house.run()

    assert (report.moved, report.failed) == (0, 1)
    assert house.source.crm.bytes_of(ref) == [LARGE]
    assert bodies(de2) == []


def test_no_byte_to_any_store_before_every_proof_holds(house: House, de2: MemoryStore) -> None:
    """When the further store's proof is gone at the first write, the first store gets no byte either."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])

    for site in house.site():
        scan(site)
        plan = make_plan(site).id
        assert plan is not None
        de2.assurance = Assurance.UNPROVEN
        report = apply_plan(site, plan, trusted=True)

    assert report.stopped is not None
    assert "de2" in report.stopped
    assert house.source.crm.bytes_of(ref) == [b"x"]
    assert bodies(house.de) == bodies(de2) == []


def test_a_policy_that_wants_a_second_copy_later_gets_it_without_a_second_read(house: House, de2: MemoryStore) -> None:
    """A document that is verified in one store, and is then to have two copies, gets the second from the first."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])
    faulty = Faulty(house.source).on("link", repeat=99, raise_=Transient("later"))
    house.policy, house.wrapped_source = Copying(further=()), faulty.port
    house.run()
    assert bodies(de2) == []
    house.policy = Copying(fingerprint="two")
    again = Faulty(house.source)
    house.wrapped_source = again.port

    report = house.run()

    assert (report.moved, again.count("read")) == (1, 0)
    assert house.states(ref) == {"done"}
    assert bodies(house.de) == bodies(de2) == [b"x"]


def test_a_copy_where_the_new_decision_does_not_put_it_is_taken_away(house: House, de2: MemoryStore) -> None:
    """A document that was verified in one store and is then decided for another leaves nothing in the first."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.wrapped_source = Faulty(house.source).on("link", repeat=99, raise_=Transient("later")).port
    house.run()
    assert bodies(house.de) == bodies(de2) == [b"x"]
    house.wrapped_source = None
    house.policy = Copying("de2", (), fingerprint="only de2")

    assert house.run().moved == 1

    assert (bodies(house.de), bodies(de2)) == ([], [b"x"])
    assert [copy.store for copy in house.entry(ref).versions[0].copies] == ["de2"]
    for site in house.site():
        assert reconcile(site, deep=True).same


def test_a_copy_that_cannot_be_taken_away_is_said_in_every_run(house: House, de2: MemoryStore) -> None:
    """A document that shall stay, with a locked copy, fails its run but not the others', until the lock is gone."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.wrapped_source = Faulty(house.source).on("link", repeat=99, raise_=Transient("later")).port
    house.run()
    house.wrapped_source = None
    house.source.crm.share(ref, house.account("CN"))
    other = house.source.crm.document("File", b"y", parents=[house.account("DE")])
    key = house.entry(ref).versions[0].copies[0].key
    house.de.lock(key)

    for _ in range(2):
        report = house.run()
        assert report.failed == 1
        assert "could not be taken away" in report.errors[0]
    assert house.states(other) == {"done"}
    house.de._locked.clear()

    assert house.run().failed == 0
    assert bodies(house.de) == bodies(de2) == [b"y"]
    assert house.states(ref) == {"review"}


def test_an_overwritten_body_leaves_every_store(house: House, de2: MemoryStore) -> None:
    """A body put over a placeholder in mid-run, and then decided for one store only, leaves the older one nowhere."""
    ref = house.source.crm.document("Note", b"old", parents=[house.account("DE")])
    house.wrapped_source = Faulty(house.source).on("remove", before=lambda: house.source.crm.edit(ref, b"new")).port
    assert house.run().conflict == 1
    assert bodies(house.de) == bodies(de2) == [b"old"]
    house.wrapped_source = None
    house.policy = Copying("de2", (), fingerprint="only de2")

    assert house.run().moved == 1

    assert (bodies(house.de), bodies(de2)) == ([], [b"new"])
    for site in house.site():
        assert reconcile(site, deep=True).same
        assert site.ledger.superseded() == {}


def test_nothing_is_linked_that_lacks_a_copy(house: House, de2: MemoryStore) -> None:
    """The last look before a link: a version without a verified copy in every wanted store is an error."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.policy = Copying(further=())
    house.wrapped_source = Faulty(house.source).on("link", repeat=99, raise_=Transient("later")).port
    house.run()
    entry = house.entry(ref)

    with pytest.raises(IntegrityError, match="no verified copy in de2"):
        Work(entry, ("de", "de2"), Link("1", "https://x")).placed()


def test_a_lost_ledger_knows_every_copy_again(house: House, de2: MemoryStore) -> None:
    """Rebuilt from the stores' catalogs, a document has its copies in both stores, and nothing is left to do."""
    ref = house.source.crm.document("File", b"one", b"two", parents=[house.account("DE")])
    house.run()
    before = house.entry(ref)
    (house.directory / "ledger.sqlite").unlink()

    for site in house.site():
        report = rebuild(site)
        scan(site, full=True)
        assert reconcile(site, deep=True).same

    assert (report.documents, report.versions, report.errors) == (1, 2, [])
    assert [v.copies for v in house.entry(ref).versions] == [v.copies for v in before.versions]
    assert house.run().moved == 0


@pytest.mark.parametrize("loss", ["missing", "spoilt", "unreachable"])
@pytest.mark.parametrize("lost", ["de", "de2"])
def test_restore_from_the_copy_that_is_left(house: House, de2: MemoryStore, lost: str, loss: str) -> None:
    """When either copy is gone, wrong or out of reach, the other one brings the document back."""
    ref = house.source.crm.document("File", b"precious", parents=[house.account("DE")])
    house.run()
    store = {"de": house.de, "de2": de2}[lost]
    key = house.entry(ref).versions[0].copies[0].key
    if loss == "missing":
        store.delete(key)
    elif loss == "spoilt":
        store.corrupt(key)
    else:
        down = Transient("down")
        house.wrapped_stores[lost] = (
            Faulty(store).on("stat", repeat=99, raise_=down).on("read", repeat=99, raise_=down).port
        )
    for site in house.site():
        assert not verify(site).same
        report = restore(site, [find(site, str(ref))])

    assert (report.restored, report.failed) == (1, 0)
    assert any(row.bodies[-1].data == b"precious" for row in house.source.crm.rows.values())


def test_withdrawing_takes_every_copy_away(house: House, de2: MemoryStore) -> None:
    """A document that is to stay after all leaves no copy in any store."""
    ref = house.source.crm.document("File", b"x", parents=[house.account("DE")])
    house.wrapped_source = Faulty(house.source).on("link", repeat=99, raise_=Transient("later")).port
    house.run()
    assert bodies(house.de) == bodies(de2) == [b"x"]
    house.source.crm.share(ref, house.account("CN"))
    house.wrapped_source = None

    house.run()

    assert house.source.crm.bytes_of(ref) == [b"x"]
    assert bodies(house.de) == bodies(de2) == []


def on_disk(house: House, name: str) -> Store:
    folder = house.directory / name
    folder.mkdir(exist_ok=True)
    options = {
        "path": str(folder),
        "country": "DE",
        "attested_by": "me",
        "attested_until": "2027-12-31",
        "filesystem": mount_of(str(folder.resolve())).type,
    }
    outside = context(house.directory, clock=house.clock)
    return FILESYSTEM.open(name, FILESYSTEM.options.model_validate(options), outside)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(house: House) -> bool:
    """Run in a process of its own, which ends by SIGKILL before it comes to a link."""
    child = os.fork()
    if child == 0:
        try:
            house.run()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


@pytest.mark.parametrize(
    ("kind", "store", "moment"),
    [("File", "one", "after"), ("File", "two", "before"), ("Note", "one", "after"), ("Note", "two", "after")],
)
def test_a_kill_between_two_copies_converges(house: House, store: str, moment: str, kind: str) -> None:
    """Killed just before or after either copy is written, the next run ends with one copy in each store."""
    refs = [house.source.crm.document(kind, b"%d" % n, parents=[house.account("DE")]) for n in range(4)]
    house.policy = Copying("one", ("two",))
    plain = {name: on_disk(house, name) for name in ("one", "two")}
    before, after = (die, None) if moment == "before" else (None, die)
    house.wrapped_stores = plain | {store: Faulty(plain[store]).on("put", nth=2, before=before, after=after).port}
    assert killed(house)
    assert all(house.source.crm.bytes_of(ref) is not None for ref in refs)
    house.wrapped_stores = dict(plain)

    report = house.run()

    assert (report.moved, report.failed) == (4, 0)
    for each in plain.values():
        assert bodies(each) == [b"0", b"1", b"2", b"3"]
    for site in house.site():
        assert reconcile(site, deep=True).same
