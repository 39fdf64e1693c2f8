"""Documents of stale records: copied to where the policy lets them be before these go, and put back with them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest

from offloader.disposition import documents
from offloader.disposition.reviving import Revived, revive
from offloader.errors import Drift, Refused, StoreFull
from offloader.holds import Scope
from offloader.ledger import Entry
from offloader.model import Assurance, DocumentRef, State
from offloader.moves.run import run
from offloader.moves.scan import scan
from offloader.moves.verify import reconcile, verify
from offloader.records import RecordRef
from offloader.wrappers.faulty import Faulty
from tests.scenarios.purge.conftest import POLICY, Yard
from tests.scenarios.purge.test_apply import Killed, end
from tests.scenarios.purge.test_plan import codes, hold

COPYING = f"""{POLICY}    documents: copy
clauses:
  - id: move
    select: {{kinds: [File]}}
    then: move
"""
EVERYTHING = COPYING.replace("{kinds: [File]}", "{everything: true}")


@dataclass
class Filed:
    """A stale case and a document on it, in both views of the CRM."""

    yard: Yard

    def case(self, country: str = "DE") -> RecordRef:
        key = self.yard.source.crm.record("Case", country=country)
        fields = {"Status": "Closed", "ClosedDate": "2015-03-01", "Country__c": "DE", "OwnerId": "u1"}
        return self.yard.crm.add("Case", fields, id=key[1])

    def document(self, case: RecordRef, body: bytes, *others: RecordRef, kind: str = "File") -> DocumentRef:
        parents = [("Case", ref.id) for ref in (case, *others)]
        ref = self.yard.source.crm.document(kind, body, parents=parents)
        self.yard.crm.add("File", {"CaseId": case.id}, id=ref.id)
        return ref

    def cascade(self) -> None:
        """What the CRM's cascade does to documents: those of records that are gone go, unless they hang elsewhere."""
        crm = self.yard.source.crm
        for ref, row in list(crm.rows.items()):
            if not any(id_ in self.yard.crm.rows for _, id_ in row.parents):
                crm.delete(ref)

    def entry(self, ref: DocumentRef) -> Entry:
        with self.yard.site() as site:
            found = site.ledger.entry(ref)
            assert found is not None
            return found

    def stored(self) -> list[str]:
        found = [self.yard.de.stat(key) for key, _ in self.yard.de.list("documents/")]
        return sorted(each.sha256 for each in found if each is not None)

    def bring_back(self, *what: str) -> Revived:
        with self.yard.site() as site:
            return revive(site, what)


@pytest.fixture
def filed(yard: Yard) -> Filed:
    yard.policy = EVERYTHING
    made = Filed(yard)
    yard.wrapped = Faulty(yard.crm).on("delete", repeat=99, after=made.cascade).port
    return made


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def test_documents_are_copied_and_then_go_with_their_record(filed: Filed) -> None:
    """The plan says what is copied and where to; afterwards the bytes lie verified in the store, in its catalog too.

    The first scan, which comes later, lists all other documents as ever.
    """
    yard = filed.yard
    case, open_one = filed.case(), filed.case()
    yard.crm.edit(open_one.id, Status="Open")
    filed.document(open_one, b"elsewhere")
    ref = filed.document(case, b"the bytes")

    row = yard.plan()
    assert row.totals["copies"] == {"documents": 1, "bytes": 9, "stay": 0, "to": {"de": 1}}
    assert filed.stored() == []
    report = yard.apply(row.id)

    assert report.states == {"done": 1}
    assert report.data["documents"]["crm"] == {"copied": 1, "bytes": 9, "gone": 1, "stays": 0}
    assert (yard.there(case), ref in yard.source.crm.rows) == ([False], False)
    assert filed.stored() == [sha256(b"the bytes")]
    assert {version.state for version in filed.entry(ref).versions} == {State.DONE}
    assert any(key.endswith(".jsonl") for key, _ in yard.de.list("catalog/"))
    with yard.site() as site:
        assert verify(site).same
        assert run(site).moved == 1


def test_documents_come_back_with_their_record(filed: Filed) -> None:
    """A record that is made anew from the archive gets its documents back, byte for byte, under its new id."""
    yard = filed.yard
    case = filed.case()
    filed.document(case, b"the bytes")
    row = yard.plan()
    yard.apply(row.id)
    yard.crm.empty_bin()
    new: list[str] = []

    def made() -> None:
        """The other view of the CRM sees the new record too."""
        new.extend(id_ for id_ in yard.crm.rows if id_ not in new)
        yard.source.crm.records.update({("Case", id_): {"country": "DE"} for id_ in new})

    yard.wrapped = Faulty(yard.crm).on("create", after=made).port

    revived = filed.bring_back(row.id)

    assert (revived.created, revived.failed) == (1, 0)
    (standing,) = yard.source.crm.rows.values()
    assert [body.data for body in standing.bodies] == [b"the bytes"]
    assert list(standing.parents) == [("Case", new[0])]
    assert not [note for note in revived.notes if "did not come back" in note]


def noted(filed: Filed, case: RecordRef, body: bytes, owner: str | None = None) -> DocumentRef:
    """A note on a case, which the case takes along in both views of the CRM."""
    yard = filed.yard
    ref = yard.source.crm.document("Note", body, parents=[("Case", case.id)], owner=owner)
    yard.crm.types["Note"] = yard.crm.types["File"]
    if not any(child.type == "Note" for child in yard.crm.types["Case"].children):
        yard.crm.types["Case"] = _with_notes(yard)
    yard.crm.add("Note", {"CaseId": case.id}, id=ref.id)
    return ref


def test_a_document_that_cannot_come_back_is_said(filed: Filed) -> None:
    """A note is made anew for its bytes; one that the CRM lets nobody make stays in its store, and that is said."""
    yard = filed.yard
    case, gone = filed.case(), yard.source.crm.user("gone")
    back, ref = noted(filed, case, b"comes back"), noted(filed, case, b"a note", gone)
    row = yard.plan()
    yard.apply(row.id)
    yard.crm.empty_bin()
    yard.source.crm.inactive.add(gone)

    revived = filed.bring_back(row.id)

    assert (revived.created, revived.failed) == (1, 0)
    assert any(f"{ref} stays in de" in note for note in revived.notes)
    assert (yard.source.crm.bytes_of(back), yard.source.crm.bytes_of(ref)) == ([b"comes back"], None)


def test_links_of_moved_documents_stand_on_the_record_that_is_back(filed: Filed) -> None:
    """After a purge a link that went with its record is where it should be, and one that a user deleted is not.

    When the record is made anew the same links hang on it, and the placeholder that the user had deleted stays away.
    """
    yard, crm = filed.yard, filed.yard.source.crm
    case, alive = filed.case(), filed.case()
    yard.crm.edit(alive.id, Status="Open")
    filed.document(case, b"a file", alive)
    note, deleted = noted(filed, case, b"a note"), noted(filed, case, b"unwanted")
    with yard.site() as site:
        scan(site)
        assert run(site).moved == 3
    crm.delete(deleted)
    yard.crm.edit(deleted.id, CaseId=None)
    with yard.site() as site:
        # what a run has removed is no deletion in the CRM
        assert scan(site).deleted == 1
    (link,) = crm.links.values()

    def cascade() -> None:
        filed.cascade()
        crm.delete_record(("Case", case.id))

    yard.wrapped = Faulty(yard.crm).on("delete", repeat=99, after=cascade).port
    row = yard.plan()
    yard.apply(row.id)
    yard.crm.empty_bin()

    with yard.site() as site:
        assert reconcile(site).same
    new: list[str] = []

    def made() -> None:
        new.extend(id_ for id_ in yard.crm.rows if ("Case", id_) not in crm.records and id_.startswith("Case"))
        crm.records.update({("Case", id_): {"country": "DE"} for id_ in new})

    yard.wrapped = Faulty(yard.crm).on("create", after=made).port
    revived = filed.bring_back(row.id)

    assert (revived.created, revived.failed) == (1, 0)
    assert set(link.parents) == {("Case", alive.id), ("Case", new[0])}
    assert (note in crm.rows, deleted in crm.rows) == (True, False)
    assert list(crm.rows[note].parents) == [("Case", new[0])]
    with yard.site() as site:
        assert [each.what for each in reconcile(site).differences] == [str(deleted)]


def _with_notes(yard: Yard):  # type: ignore[no-untyped-def]
    from dataclasses import replace  # noqa: PLC0415

    case = yard.crm.types["Case"]
    files = next(child for child in case.children if child.documents)
    return replace(case, children=(*case.children, replace(files, type="Note")))


def test_a_document_on_another_living_record_is_copied_and_stays(filed: Filed) -> None:
    """The CRM's cascade decides what goes: a file that lives on elsewhere is copied, stays, and is not done."""
    yard = filed.yard
    case, alive = filed.case(), filed.case()
    yard.crm.edit(alive.id, Status="Open")
    ref = filed.document(case, b"shared", alive)

    row = yard.plan()
    report = yard.apply(row.id)

    assert report.data["documents"]["crm"] == {"copied": 1, "bytes": 6, "gone": 0, "stays": 1}
    assert any("stay in the CRM" in line for line in report.lines)
    assert ref in yard.source.crm.rows
    assert {version.state for version in filed.entry(ref).versions} == {State.VERIFIED}

    # what was verified in an earlier purge is read back before it goes by that: here it is not there any more
    for key, _ in list(yard.de.list("documents/")):
        yard.de.erase(key)
    yard.crm.edit(alive.id, Status="Closed")
    yard.crm.add("File", {"CaseId": alive.id}, id=ref.id)
    assert yard.apply(yard.plan().id).states["done"] == 1
    assert ref not in yard.source.crm.rows
    assert filed.stored() == [sha256(b"shared")]


@pytest.mark.parametrize(
    ("country", "policy"),
    [("DE", COPYING.replace("[File]", "[Note]")), ("RU", f"{EVERYTHING}    categories: [health_data]\n")],
)
def test_a_document_that_may_go_nowhere_keeps_its_record(filed: Filed, country: str, policy: str) -> None:
    """A document that the policy keeps, or for which there is no permitted place, keeps the record it hangs on."""
    yard = filed.yard
    yard.policy = policy
    case, other = filed.case(country), filed.case()
    filed.document(case, b"the bytes")

    assert codes(yard, yard.plan().id) == {case.id: "DOCUMENTS", other.id: "OLD"}


def test_a_hold_on_a_document_keeps_its_record(filed: Filed) -> None:
    """A hold that names only the document keeps the record, also when no scan has seen the document."""
    yard = filed.yard
    case = filed.case()
    ref = filed.document(case, b"the bytes")
    hold(yard, Scope(documents=(str(ref),)))

    assert codes(yard, yard.plan().id) == {case.id: "HELD"}


def test_bytes_that_are_copied_count_for_the_cap(filed: Filed) -> None:
    """A purge that copies more bytes than a plan may is refused, and says so in the plan; each document counts once."""
    yard = filed.yard
    case, other = filed.case(), filed.case()
    filed.document(case, b"the bytes", other)
    yard.policy = f"{EVERYTHING}caps: {{bytes: 8}}\n"

    row = yard.plan()
    with pytest.raises(Refused) as refused:
        yard.apply(row.id)

    assert refused.value.rule == "limits.bytes"
    assert row.totals["over"] == ["it copies 9 bytes of documents, the limit is 8"]
    assert (yard.there(case, other), filed.stored()) == ([True, True], [])
    yard.policy = f"{EVERYTHING}caps: {{bytes: 9}}\n"
    assert yard.apply(yard.plan().id).states == {"done": 2}


def test_a_proof_that_runs_out_while_documents_are_copied_stops_it(
    filed: Filed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place is proven again before more is written; where it is not, no further document is, and no record goes."""
    monkeypatch.setattr(documents, "CHUNK", 1)
    yard = filed.yard
    cases = [filed.case(), filed.case()]
    for number, case in enumerate(cases):
        filed.document(case, f"bytes {number}".encode())
    row = yard.plan()

    def later() -> None:
        yard.later(days=2)
        yard.de.assurance = Assurance.UNPROVEN

    yard.stores["de"] = Faulty(yard.de).on("put", after=later).port
    report = yard.apply(row.id)

    assert isinstance(report.stop_error, Drift)
    assert len(filed.stored()) == 1
    assert yard.there(*cases) == [True, True]


@pytest.mark.parametrize("when", ["planned", "copied"])
def test_a_document_that_a_user_changes_keeps_its_record(filed: Filed, when: str) -> None:
    """A document that is edited after the plan, or while it is being copied, is not deleted: the user's edit wins."""
    yard = filed.yard
    case, other = filed.case(), filed.case()
    ref = filed.document(case, b"the bytes")
    row = yard.plan()

    def edit() -> None:
        yard.source.crm.edit(ref, b"newer")

    if when == "planned":
        edit()
    else:
        yard.stores["de"] = Faulty(yard.de).on("put", after=edit).port
    report = yard.apply(row.id)

    assert report.states == {"conflict": 1, "done": 1}
    assert yard.there(case, other) == [True, False]
    assert yard.source.crm.rows[ref].bodies[-1].data == b"newer"


def test_a_store_that_is_full_stops_the_purge(filed: Filed) -> None:
    """Without room for the documents nothing is deleted; with room again the same plan goes on."""
    yard = filed.yard
    case = filed.case()
    filed.document(case, b"the bytes")
    row = yard.plan()
    yard.stores["de"] = Faulty(yard.de).on("put", repeat=9, raise_=StoreFull("no room")).port

    report = yard.apply(row.id)

    assert "no room" in (report.stopped or "")
    assert yard.there(case) == [True]
    yard.stores.clear()
    assert yard.apply(row.id).states == {"done": 1}


@pytest.mark.parametrize(
    ("port", "method", "nth"), [("store", "put", 1), ("store", "put", 2), ("crm", "delete", 1), ("crm", "gone", 1)]
)
def test_a_killed_purge_with_documents_converges(filed: Filed, port: str, method: str, nth: int) -> None:
    """Ended after a copy, the catalog, or the deletion, and scanned meanwhile, the next run ends as a clean one."""
    yard = filed.yard
    cases = [filed.case() for _ in range(2)]
    refs = [filed.document(case, case.id.encode()) for case in cases]
    row = yard.plan()
    usual = yard.wrapped

    def cut() -> None:
        filed.cascade()
        end()

    if port == "store":
        yard.stores["de"] = Faulty(yard.de).on(method, nth=nth, after=end).port
    else:
        yard.wrapped = Faulty(yard.crm).on(method, nth=nth, after=cut).port
    with pytest.raises(Killed):
        yard.apply(row.id)
    yard.stores.clear()
    yard.wrapped = usual
    with yard.site() as site:
        scan(site)

    report = yard.apply(row.id)

    assert report.states == {"done": 2}
    assert filed.stored() == sorted(sha256(case.id.encode()) for case in cases)
    for ref in refs:
        assert {version.state for version in filed.entry(ref).versions} == {State.DONE}
