"""Legal holds: what they freeze, from when, and how they end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from offloader.config import PersonOptions
from offloader.errors import ConfigError, Exhausted, Refused, Transient
from offloader.holds import Hold, Scope
from offloader.ledger import open_ledger
from offloader.model import Decision, Document, DocumentRef, Parent, Reason, Verdict
from offloader.moves import matters
from offloader.moves.apply import apply_plan
from offloader.moves.auditing import verify as verify_log
from offloader.moves.holding import Holds
from offloader.moves.plan import make_plan
from offloader.moves.restore import find, restore
from offloader.moves.scan import scan
from offloader.moves.sealing import export_plan
from offloader.moves.site import Links, Site
from offloader.moves.verify import verify
from offloader.people import People
from offloader.signing import new_key, public_key
from offloader.testing import context
from offloader.wrappers.faulty import Faulty
from tests.scenarios.conftest import CountryPolicy, House

KEY = new_key()
PEOPLE = People(
    {
        "anna": PersonOptions(name="Anna", login="anna"),
        "bert": PersonOptions(name="Bert", login="bert"),
        "carl": PersonOptions(name="Carl", public_key=public_key(KEY)),
    }
)
SECRET = "because of the letter from counsel"


@dataclass
class Court:
    """Whoever holds and releases, beside the house and its runs."""

    house: House

    def site(self, who: str) -> Iterator[Site]:
        path = self.house.directory / "ledger.sqlite"
        if not path.exists():
            open_ledger(path, now=self.house.clock.now).close()
        with open_ledger(path, now=self.house.clock.now, exclusive=False) as ledger:
            yield Site(
                ledger=ledger,
                sources={},
                stores={},
                policies={},
                links=Links("https://files.example.com", b"key"),
                context=replace(context(self.house.directory, clock=self.house.clock), account=who),
                people=PEOPLE,
            )

    def hold(self, scope: Scope, *, who: str = "anna", matter: str = "Doe", moves: bool = False) -> Hold:
        for site in self.site(who):
            return matters.add(site, matter=matter, scope=scope, reason=SECRET, freezes_moves=not moves)
        raise AssertionError

    def release(self, hold: Hold, *who: str) -> Hold:
        for name in who:
            for site in self.site(name):
                hold = matters.release(site, hold.id, reason=SECRET, key=KEY if name == "carl" else None)
        return hold

    def covered(self, hold: Hold) -> int:
        for site in self.site("anna"):
            return matters.coverage(site, [hold])[hold.id]
        raise AssertionError


@pytest.fixture
def court(house: House) -> Court:
    return Court(house)


def named(*refs: DocumentRef) -> Scope:
    return Scope(documents=tuple(map(str, refs)))


def german(house: House, kind: str = "File", body: bytes = b"x") -> DocumentRef:
    return house.source.crm.document(kind, body, parents=[house.account("DE")])


def test_a_held_document_stays_until_two_people_release_it(house: House, court: Court) -> None:
    """Under a hold nothing of a document moves; it moves with the first run after its release, and not before."""
    ref, other = german(house), german(house)
    hold = court.hold(named(ref))

    first = house.run()

    assert (first.moved, first.held, first.kept) == (1, 1, 0)
    assert house.source.crm.bytes_of(ref) == [b"x"]
    assert house.source.crm.bytes_of(other) is None
    assert house.states(ref) == {"held"}
    assert house.run().plan is None, "a second run decides nothing"
    assert court.release(hold, "anna").released_at is None
    assert house.run().moved == 0
    assert court.release(hold, "bert").released_at is not None

    assert house.run().moved == 1
    assert house.source.crm.bytes_of(ref) is None


def document(name: str, **changes: object) -> Document:
    fields: dict[str, object] = {
        "ref": DocumentRef("crm", "File", name),
        "title": "t",
        "versions": (),
        "parents": (Parent(type="Account", id="A", signals={"country": "DE"}), Parent(type="User", id="U")),
        "owner": "U1",
        "created": datetime(2025, 6, 30, 23, 30, tzinfo=UTC),
        "modified": datetime(2025, 7, 2, tzinfo=UTC),
    }
    return Document(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scope", "covers"),
    [
        (Scope(documents=("crm/File/D",)), True),
        (Scope(documents=("crm/File/E",)), False),
        (Scope(documents=("crm/File/E",), pks=(7,)), True),
        (Scope(records=("Account:A",)), True),
        (Scope(records=("Account:B", "User:U")), True),
        (Scope(records=("Case:A",)), False),
        (Scope(owners=("U1",)), True),
        (Scope(owners=("U2",)), False),
        (Scope().with_query("source=crm kind=File type=Account signal.country=de"), True),
        (Scope().with_query("source=other"), False),
        (Scope().with_query("kind=Note"), False),
        (Scope().with_query("kind=Note kind=File"), True),
        (Scope().with_query("type=Case"), False),
        (Scope().with_query("signal.country=NL"), False),
        (Scope().with_query("'signal.country=NL' signal.country=DE"), True),
        (Scope().with_query("signal.court=anything"), True),
        (Scope(created_from=date(2025, 6, 30), created_to=date(2025, 6, 30)), True),
        (Scope(created_from=date(2025, 7, 1)), False),
        (Scope(created_to=date(2025, 6, 29)), False),
        (Scope().with_query("modified-from=2025-07-02 modified-to=2025-07-02"), True),
        (Scope().with_query("modified-from=2025-07-03"), False),
        (Scope(records=("Account:A",), owners=("U2",)), False),
        (Scope(documents=("crm/File/D",), owners=("U1",)), True),
        (Scope(owners=("U1",), created_to=date(2024, 1, 1)), False),
    ],
    ids=lambda value: str(value.as_json()) if isinstance(value, Scope) else "",
)
def test_scopes(scope: Scope, covers: bool) -> None:
    """A scope covers a document if all that it names fits, and of each list one value, also when looked up by index."""
    hold = Hold(
        id="H", matter="m", scope=scope, reason="r", freezes_moves=True, person="p", proof="p", at="2025", signature=""
    )

    assert scope.covers(7, document("D")) is covers
    assert bool(Holds([hold]).covering_document(7, document("D"))) is covers
    assert Scope.from_json(scope.as_json()) == scope


@pytest.mark.parametrize(
    "scope",
    [
        Scope(owners=("U9",)),
        Scope(created_from=date(2025, 1, 1), created_to=date(2025, 1, 2)),
        Scope().with_query("signal.country=NL"),
    ],
    ids=["owner", "created", "signal"],
)
def test_unknown_is_held(scope: Scope) -> None:
    """A document whose owner, date or signal the CRM does not say is covered as if it said the right one."""
    unknown = document(
        "D", owner=None, created=None, parents=(Parent(type="Account", id="A", signals={"country": ""}),)
    )
    hold = Hold(id="H", matter="m", scope=scope, reason="r", freezes_moves=True, person="p", proof="p", at="2025")

    assert Holds([hold]).covering_document(7, unknown) == ("H",)


@pytest.mark.parametrize("query", ["Account", "kind=", "name=x", "signal.=x", "modified-from=1.1.2025", "kind='x"])
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    """What a query does not know is an error: a hold never covers less than somebody meant, unsaid."""
    with pytest.raises(ConfigError):
        Scope().with_query(query)


def test_a_document_that_comes_later_is_held(house: House, court: Court) -> None:
    """A hold on a record covers documents that are seen after it was added, and a document not seen yet."""
    account = house.account("DE")
    hold = court.hold(Scope(records=(f"{account[0]}:{account[1]}",)))
    ref = house.source.crm.document("File", b"new", parents=[account])

    report = house.run()

    assert (report.moved, report.held) == (0, 1)
    assert court.covered(hold) == 1
    assert house.source.crm.bytes_of(ref) == [b"new"]
    assert court.covered(court.hold(Scope(documents=("crm/File/not-there-yet",)))) == 0


def test_a_document_is_free_when_the_last_of_its_holds_is_released(house: House, court: Court) -> None:
    """Several holds overlap: releasing one of two changes nothing."""
    ref = german(house)
    first, second = court.hold(named(ref)), court.hold(Scope().with_query("kind=File"), matter="Roe", who="bert")
    house.run()
    court.release(first, "bert", "anna")

    assert (house.run().moved, house.states(ref)) == (0, {"held"})
    assert "matter Roe" in house.entry(ref).versions[0].detail or "matter Doe" in house.entry(ref).versions[0].detail

    court.release(second, "carl", "bert")
    assert house.run().moved == 1


def test_only_people_of_the_configuration_hold_and_release(house: House, court: Court) -> None:
    """An account that is nobody's, a login without the key it needs, and an empty reason are refused."""
    hold = court.hold(Scope(owners=("U1",)))
    for site in court.site("mallory"):
        with pytest.raises(Refused, match="mallory"):
            matters.add(site, matter="m", scope=Scope(owners=("U",)), reason="r")
        with pytest.raises(Refused, match="mallory"):
            matters.release(site, hold.id, reason="r")
    for site in court.site("anna"):
        with pytest.raises(ConfigError, match="reason"):
            matters.release(site, hold.id, reason=" ")
        with pytest.raises(ConfigError, match="scope"):
            matters.add(site, matter="m", scope=Scope(), reason="r")
        with pytest.raises(Refused):
            matters.release(site, hold.id, reason="r", key=new_key())
    assert court.covered(hold) == 0


def test_one_person_alone_releases_nothing(house: House, court: Court) -> None:
    """The same person cannot agree twice, and nothing but the exact id of one hold names a hold."""
    hold = court.hold(Scope(owners=("U1",)))
    court.release(hold, "anna")

    with pytest.raises(Refused, match="another person"):
        court.release(hold, "anna")
    for name in ("*", "H-%", hold.id[:-1], "Doe"):
        with pytest.raises(ConfigError, match="there is no hold"):
            court.release(replace(hold, id=name), "bert")
    court.release(hold, "carl")
    with pytest.raises(Refused, match="was released"):
        court.release(hold, "bert")


def test_the_database_itself_wants_two_people(house: House, court: Court) -> None:
    """A program that forgets to ask cannot end, change or delete a hold."""
    hold = court.hold(Scope(owners=("U1",)))
    court.release(hold, "anna")
    connection = sqlite3.connect(house.directory / "ledger.sqlite")
    for act in (
        "UPDATE holds SET released_at = 'now'",
        "UPDATE holds SET scope = '{}'",
        "DELETE FROM holds",
        "UPDATE hold_releases SET person = 'bert'",
        "DELETE FROM hold_releases",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(act)
    connection.close()


def test_an_agreement_that_somebody_forged_does_not_count(house: House, court: Court) -> None:
    """A release written into the database in the name of somebody who signs with a key ends nothing."""
    hold = court.hold(Scope(owners=("U1",)))
    connection = sqlite3.connect(house.directory / "ledger.sqlite")
    row = (hold.id, "carl", "r", "2026-01-01", "key:forged", "a.b.c")
    connection.execute(
        "INSERT INTO hold_releases (hold, person, reason, at, proof, signature) VALUES (?,?,?,?,?,?)", row
    )
    connection.commit()
    connection.close()

    assert court.release(hold, "anna").released_at is None
    assert court.release(hold, "bert").released_at is not None


def test_a_plan_made_before_the_hold_passes_it_over(house: House, court: Court) -> None:
    """A hold that is added between plan and apply keeps its document; the rest of the plan is carried out."""
    ref, other = german(house), german(house)
    for site in house.site():
        scan(site)
        plan = make_plan(site)
        court.hold(named(ref))
        assert plan.id is not None
        report = apply_plan(site, plan.id)

    assert (report.moved, report.held) == (1, 1)
    assert house.source.crm.bytes_of(ref) == [b"x"]
    assert house.source.crm.bytes_of(other) is None
    assert len(house.blobs(house.de)) == 1


@pytest.mark.parametrize("kind", ["File", "Entry"])
def test_a_hold_in_mid_run_stops_the_link(house: House, court: Court, kind: str) -> None:
    """A hold added by another process while bytes are copied: no link, no removal, the copy stays; later it goes on."""
    ref = german(house, kind, b"body")
    holds: list[Hold] = []
    house.wrapped_source = Faulty(house.source).on("read", after=lambda: holds.append(court.hold(named(ref)))).port

    first = house.run()

    assert (first.moved, first.links_verified, first.held) == (0, 0, 1)
    assert house.source.crm.bytes_of(ref) == [b"body"]
    assert house.states(ref) == {"held"}
    assert len(house.blobs(house.de)) == 1
    for site in house.site():
        assert verify(site).counts == {"=": 1}
        assert [event.data["hold"] for event in site.ledger.events() if event.type == "hold"] == [holds[0].id]

    court.release(holds[0], "anna", "bert")
    house.wrapped_source = (faulty := Faulty(house.source)).port
    second = house.run()

    assert (second.moved, second.held, faulty.count("read")) == (1, 0, 0)
    assert house.source.crm.bytes_of(ref) != [b"body"]
    assert len(house.blobs(house.de)) == 1


def test_a_hold_between_link_and_removal_keeps_the_original(house: House, court: Court) -> None:
    """The original of a document that was linked stays; after the release it is removed, and there is one link."""
    ref = german(house)
    holds: list[Hold] = []
    house.wrapped_source = Faulty(house.source).on("link", after=lambda: holds.append(court.hold(named(ref)))).port

    first = house.run()

    assert (first.moved, first.originals_removed, first.held) == (0, 0, 1)
    assert house.source.crm.bytes_of(ref) == [b"x"]
    house.wrapped_source = None
    assert [house.run().held, house.run().plan] == [1, None]

    court.release(holds[0], "anna", "bert")
    assert house.run().moved == 1
    entry = house.entry(ref)
    assert entry.link is not None
    assert house.source.crm.bytes_of(ref) is None
    assert len(house.source.crm.links_to(entry.link.url)) == 1


def test_what_was_replaced_in_place_is_finished(house: House, court: Court) -> None:
    """Where the link has replaced the original already, a hold has nothing left to keep: the document is done."""
    ref = german(house, "Note")
    house.wrapped_source = Faulty(house.source).on("link", after=lambda: court.hold(named(ref))).port

    report = house.run()

    assert (report.moved, report.held) == (1, 0)
    assert house.states(ref) == {"done"}


def test_a_run_broken_off_after_a_replacement_is_finished_under_a_hold(house: House, court: Court) -> None:
    """A document that an earlier run replaced is looked at and done, though a hold covers it by now."""
    ref = german(house, "Note")
    house.wrapped_source = Faulty(house.source).on("remove", repeat=9, raise_=Exhausted("no calls left")).port
    house.run()
    assert house.states(ref) == {"linked"}
    court.hold(named(ref))
    house.wrapped_source = None

    assert (house.run().moved, house.states(ref)) == (1, {"done"})


def test_a_lost_answer_under_a_hold_is_made_good_after_it(house: House, court: Court) -> None:
    """A document that was replaced, but whose answer was lost, is found replaced after its hold, never read again."""
    ref = german(house, "Note", b"precious")
    faulty = Faulty(house.source).on("link", repeat=9, lost=True)
    house.wrapped_source = faulty.port
    house.run()
    hold = court.hold(named(ref))
    house.wrapped_source = None
    house.run()
    court.release(hold, "anna", "bert")

    house.run()

    copy = house.entry(ref).versions[0].copies[0]
    assert house.states(ref) == {"done"}
    assert b"".join(house.de.read(copy.key)) == b"precious"


def test_moves_go_on_where_the_hold_lets_them(house: House, court: Court) -> None:
    """Under a hold with moves allowed a document moves whole, and can be put back; its stored copy is never removed."""
    ref = german(house)
    court.hold(named(ref), moves=True)

    assert (house.run().moved, house.run().held) == (1, 0)
    for site in house.site():
        restored = restore(site, [find(site, str(ref))])
    assert (restored.restored, restored.failed) == (1, 0)
    assert len(house.blobs(house.de)) == 1


def test_a_frozen_document_is_not_put_back(house: House, court: Court) -> None:
    """Under a hold that freezes moves a moved document stays where it is, link and all."""
    ref = german(house)
    house.run()
    court.hold(named(ref))

    for site in house.site():
        report = restore(site, [find(site, str(ref))])

    assert (report.restored, report.failed) == (0, 1)
    assert "legal hold" in report.errors[0]
    assert house.source.crm.bytes_of(ref) is None


@dataclass
class Changing(CountryPolicy):
    """Keeps everything once it is told to."""

    keep: bool = False

    def decide(self, document: Document, targets: object, now: object) -> Decision:
        if self.keep:
            return Decision(verdict=Verdict.KEEP, reasons=(Reason("KEPT", "by the new rule"),))
        return super().decide(document, targets, now)  # type: ignore[arg-type]


@pytest.mark.parametrize("moves", [False, True])
def test_a_held_copy_is_not_withdrawn(house: House, court: Court, moves: bool) -> None:
    """A copy of a document that shall stay after all is taken away, but under any hold only after its release."""
    house.policy = policy = Changing()
    ref = german(house)
    house.wrapped_source = Faulty(house.source).on("link", repeat=9, raise_=Exhausted("no calls left")).port
    house.run()
    assert len(house.blobs(house.de)) == 1
    hold = court.hold(named(ref), moves=moves)
    house.wrapped_source, policy.keep, policy.fingerprint = None, True, "2"

    assert house.run().held == 1
    assert len(house.blobs(house.de)) == 1

    court.release(hold, "anna", "bert")
    house.run()
    assert house.blobs(house.de) == []
    assert house.states(ref) == {"kept"}


def test_an_older_copy_is_not_replaced_under_a_hold(house: House, court: Court) -> None:
    """A document edited after it was copied stays with both: its new bytes in the CRM, its older ones in the store."""
    ref = german(house, "Note", b"old")
    house.wrapped_source = Faulty(house.source).on("link", repeat=9, raise_=Exhausted("no calls left")).port
    house.run()
    before = house.blobs(house.de)
    house.source.crm.edit(ref, b"new")
    hold = court.hold(named(ref), moves=True)
    house.wrapped_source = None

    assert (house.run().held, house.blobs(house.de)) == (1, before)
    assert house.source.crm.bytes_of(ref) == [b"new"]

    court.release(hold, "bert", "anna")
    assert house.run().moved == 1
    assert [b"".join(house.de.read(key)) for key in house.blobs(house.de)] == [b"new"]


def test_a_hold_since_the_run_began_saves_the_older_copy(house: House, court: Court) -> None:
    """The older copy is also spared by a hold that is added while the newer bytes are read."""
    ref = german(house, "Note", b"old")
    house.wrapped_source = Faulty(house.source).on("link", repeat=9, raise_=Exhausted("no calls left")).port
    house.run()
    before = house.blobs(house.de)
    house.source.crm.edit(ref, b"new")
    holds: list[Hold] = []
    hold = lambda: holds.append(court.hold(named(ref), moves=True))  # noqa: E731
    house.wrapped_source = Faulty(house.source).on("read", after=hold).port

    assert house.run().moved == 0
    assert house.states(ref) == {"held"}
    assert set(before) < set(house.blobs(house.de))

    court.release(holds[0], "bert", "anna")
    house.wrapped_source = None
    assert house.run().moved == 1
    assert [b"".join(house.de.read(key)) for key in house.blobs(house.de)] == [b"new"]


def test_a_copy_elsewhere_is_not_taken_away_under_a_hold(house: House, court: Court) -> None:
    """A document that was copied to one country and then belongs in another waits for the end of its hold."""
    account = house.account("DE")
    ref = house.source.crm.document("File", b"x", parents=[account])
    house.wrapped_source = Faulty(house.source).on("link", repeat=9, raise_=Exhausted("no calls left")).port
    house.run()
    hold = court.hold(named(ref), moves=True)
    house.wrapped_source = None
    house.source.crm.share(ref, house.account("US"))
    house.source.crm.unshare(ref, account)

    assert (house.run(full=True).held, len(house.blobs(house.de)), house.blobs(house.us)) == (1, 1, [])

    court.release(hold, "bert", "anna")
    assert house.run().moved == 1
    assert (house.blobs(house.de), len(house.blobs(house.us))) == ([], 1)


def test_a_hold_that_is_added_twice_in_a_run_that_breaks_off_converges(house: House, court: Court) -> None:
    """A run that was broken off under a hold goes on as if it had not been."""
    refs = [german(house, body=b"%d" % number) for number in range(4)]
    court.hold(named(refs[0]))
    house.wrapped_source = Faulty(house.source).on("remove", raise_=Transient("gone"), repeat=9).port
    house.run()
    house.wrapped_source = None

    house.run()
    house.run()

    assert [house.states(ref) for ref in refs] == [{"held"}, {"done"}, {"done"}, {"done"}]


def test_nobodys_reason_is_told(house: House, court: Court) -> None:
    """The reason of a hold or a release stands in no event, no plan, no detail and no error."""
    ref = german(house)
    hold = court.hold(named(ref))
    for site in house.site():
        scan(site)
        plan = make_plan(site)
        assert plan.id is not None
        told = b"".join(export_plan(site, plan.id))
    assert hold.id.encode() in told
    court.release(hold, "anna", "bert")
    for site in house.site():
        Holds.of(site)
        events = [event for event in site.ledger.events() if event.type.startswith("hold")]

    assert [event.type for event in events] == ["hold", "hold_release", "hold_release"]
    assert [event.data["released"] for event in events[1:]] == [False, True]
    assert SECRET not in str(events)
    assert SECRET.encode() not in told
    assert SECRET not in house.entry(ref).versions[0].detail


def test_a_hold_that_was_tampered_with_shows(house: House, court: Court) -> None:
    """A hold deleted, narrowed or ended past the program, by whoever can write the file, differs from the log."""
    holds = [court.hold(Scope(owners=(name,))) for name in ("U1", "U2", "U3")]
    path = house.directory / "ledger.sqlite"
    forge(
        path,
        f"DELETE FROM holds WHERE id = '{holds[0].id}'",
        f"UPDATE holds SET scope = '{{}}' WHERE id = '{holds[1].id}'",
        f"UPDATE holds SET released_at = 'now' WHERE id = '{holds[2].id}'",
    )

    for site in court.site("anna"):
        found = verify_log(site)

    assert found.problems == [
        f"the hold {holds[0].id} is gone from the ledger",
        f"the hold {holds[1].id} is not what the log says",
        f"{holds[2].id} is released, but the log does not say so",
    ]


def forge(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
