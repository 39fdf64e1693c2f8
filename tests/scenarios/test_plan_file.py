"""The plan as a file, its hash, its caps and its pilot: `apply` does exactly the plan, or says what differs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from offloader.cli.exits import Exit, exit_for
from offloader.errors import Drift, Exhausted, IntegrityError, Refused
from offloader.moves.apply import apply_plan
from offloader.moves.pilot import Pilot
from offloader.moves.plan import PlanSummary, make_plan
from offloader.moves.report import RunReport
from offloader.moves.scan import scan
from offloader.moves.sealing import export_plan, plan_of
from offloader.moves.site import Limits
from offloader.ports import Caps, Terms
from offloader.testing import MemoryStore
from offloader.wrappers.faulty import Faulty
from tests.scenarios.conftest import CountryPolicy, House

Line = dict[str, Any]


def planned(house: House, **how: Any) -> str:
    for site in house.site():
        scan(site)
        made = make_plan(site, **how).id
        assert made is not None
        return made
    raise AssertionError


def lines_of(house: House, plan: str) -> list[bytes]:
    return [line for site in house.site() for line in export_plan(site, plan)]


def applied(house: House, plan: str, lines: Sequence[bytes] | None = None) -> RunReport:
    for site in house.site():
        return apply_plan(site, plan, lines=None if lines is None else iter(lines))
    raise AssertionError


@pytest.fixture
def plan(house: House) -> str:
    for number in range(3):
        house.source.crm.document("File", b"%d" % number, parents=[house.account("DE")], name=f"Größe \u202e{number}")
    house.source.crm.document("Note", b"n", parents=[house.account("CN")])
    return planned(house)


def changed(lines: list[bytes], number: int, change: Callable[[Line], object]) -> list[bytes]:
    value = json.loads(lines[number])
    change(value)
    edited = json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    return [*lines[:number], edited, *lines[number + 1 :]]


def test_the_file_that_was_written_is_the_plan(house: House, plan: str) -> None:
    """The exported file, also with other line ends and without the last one, is accepted and carried out."""
    lines = [line.replace(b"\n", b"\r\n") for line in lines_of(house, plan)]
    lines[-1] = lines[-1].rstrip()

    assert applied(house, plan, lines).moved == 3


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda ls: changed(ls, 2, lambda v: v.update(store="us")), r"line 3 \(crm/File/.*\): store was de, is us"),
        (
            lambda ls: changed(ls, 4, lambda v: v.update(verdict="MOVE")),
            r"line 5 \(crm/Note.*verdict was BLOCKED, is",
        ),
        (lambda ls: changed(ls, 1, lambda v: v.pop("etag")), r"line 2 .*etag was .*, is not there"),
        (lambda ls: changed(ls, 1, lambda v: v.update(x=[1])), r"line 2 .*: x was not there, is \[1\]"),
        (lambda ls: changed(ls, 0, lambda v: v.update(by="boss")), r"line 1 \(the header\): by was , is boss"),
        (lambda ls: changed(ls, 0, lambda v: v["totals"].update(bytes=1)), r"line 1 \(the header\): totals was"),
        (lambda ls: [*ls[:2], b"{", *ls[3:]], r"line 3 .* cannot be read"),
        (lambda ls: [*ls[:2], b"[" * 100_000, *ls[3:]], r"line 3 .* cannot be read"),
        (lambda ls: [*ls[:2], ls[2].replace(b":", b": ", 1), *ls[3:]], r"line 3 .* is written otherwise"),
        (lambda ls: ls[:-1], r"line 5 \(crm/Note/.*\) is missing"),
        (lambda ls: [*ls, ls[-1]], r"line 6 is one too many"),
        (lambda ls: [ls[0], ls[2], ls[1], *ls[3:]], r"line 2 .*etag was .*, is "),
        (lambda ls: [], r"line 1 \(the header\) is missing"),
    ],
)
def test_an_edited_file_is_refused(
    house: House, plan: str, edit: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    """A file that is not the sealed plan is refused as drift, naming the first line, the field, was and is."""
    with pytest.raises(Drift, match=said) as refused:
        applied(house, plan, edit(lines_of(house, plan)))

    assert exit_for(refused.value) is Exit.DRIFT
    assert house.blobs(house.de) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ('UPDATE plan_items SET body = replace(body, \'"store":"de"\', \'"store":"us"\')', "not what was sealed"),
        ("DELETE FROM plan_items WHERE seq = 2", "not what was sealed"),
        ('UPDATE plans SET header = replace(header, \'"by":""\', \'"by":"x"\')', "not what was sealed"),
        ("UPDATE plans SET totals = replace(totals, '\"MOVE\":3', '\"MOVE\":1')", "totals are not those"),
        ("UPDATE plans SET totals = replace(totals, '\"bytes\":3', '\"bytes\":1')", "totals are not those"),
    ],
)
def test_a_plan_edited_in_the_ledger_is_refused(house: House, plan: str, statement: str, said: str) -> None:
    """Whatever is changed in a sealed plan behind the triggers' back is found before the first byte."""
    with closing(sqlite3.connect(house.directory / "ledger.sqlite")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        assert connection.execute(statement).rowcount > 0
        connection.commit()

    with pytest.raises(Drift, match=said):
        applied(house, plan)

    assert house.blobs(house.de) == house.blobs(house.us) == []


def test_the_plan_says_what_it_rests_on(house: House, plan: str) -> None:
    """The header names who made it, the policies with their layers and tables, proofs, caps and approvals."""
    house.policy = CountryPolicy(
        fingerprint="2",
        terms=Terms(name="EU", version="7", layers=(("eu.yaml", "ab12"),), tables={"rules": "2026-11"}),
    )
    header = json.loads(lines_of(house, planned(house))[0])

    assert header["policies"] == {"crm": "2"}
    terms = {"name": "EU", "version": "7", "layers": [["eu.yaml", "ab12"]], "tables": {"rules": "2026-11"}}
    assert header["terms"] == {"crm": terms}
    assert header["approvals"] == {"people": 0, "preparer": False, "days": 14}
    assert set(header["proofs"]) == {"de", "us"}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"version": "8"}, "its version was 7, is 8"),
        ({"layers": (("eu.yaml", "cd34"),)}, "its file eu.yaml was ab12, is cd34"),
        ({"layers": (("eu.yaml", "ab12"), ("own.yaml", "ef"))}, "its file own.yaml was not there, is ef"),
        ({"tables": {"rules": "2027-01"}}, "its table rules was 2026-11, is 2027-01"),
    ],
)
def test_a_policy_with_other_texts_is_drift(house: House, now: Line, said: str) -> None:
    """A plan is refused when the policy's version, files or tables are others, and the message names which."""
    house.source.crm.document("File", b"x", parents=[house.account("DE")])
    terms = Terms(name="EU", version="7", layers=(("eu.yaml", "ab12"),), tables={"rules": "2026-11"})
    house.policy = CountryPolicy(terms=terms)
    plan = planned(house)
    house.policy = CountryPolicy(terms=replace(terms, **now))

    with pytest.raises(Drift, match=said):
        applied(house, plan)


@pytest.mark.parametrize(
    ("caps", "said"),
    [
        (Caps(documents=2), "moves 3 documents, the limit is 2"),
        (Caps(bytes=2), "moves 3 bytes, the limit is 2"),
        (Caps(percent=50), "moves 75 % of all documents, the limit is 50"),
        (Caps(kinds={"File": 1, "Note": 0}), "moves 3 documents of File, the limit is 1"),
        (Caps(documents=0, bytes=0), "moves 3 documents.*; it moves 3 bytes"),
    ],
)
def test_a_policys_caps_bound_a_plan(house: House, plan: str, caps: Caps, said: str) -> None:
    """A plan beyond a policy's cap is refused as a whole, naming each cap; the operator's own limits stay."""
    house.policy, house.limits = CountryPolicy(terms=Terms(caps=caps)), Limits(documents=100)

    with pytest.raises(Refused, match=said) as refused:
        applied(house, plan)

    assert exit_for(refused.value) is Exit.REFUSED
    assert house.blobs(house.de) == []


def test_the_stricter_of_limit_and_cap_counts(house: House, plan: str) -> None:
    """Where the operator and a policy both bound something, the smaller number counts."""
    house.policy, house.limits = CountryPolicy(terms=Terms(caps=Caps(documents=5))), Limits(documents=2)

    with pytest.raises(Refused, match="the limit is 2"):
        applied(house, plan)


def mixed(house: House, each: int = 20) -> None:
    crm = house.source.crm
    for number in range(each):
        for kind in ("File", "Note"):
            for country in ("DE", "US", "CN"):
                crm.document(kind, b"%d" % number, parents=[house.account(country)])


def drawn(house: House, **how: Any) -> tuple[PlanSummary, list[Line]]:
    for site in house.site():
        scan(site)
        summary = make_plan(site, pilot=Pilot(**how))
        assert summary.id is not None
        return summary, [json.loads(line) for line in export_plan(site, summary.id)][1:]
    raise AssertionError


def test_a_pilot_is_spread_and_can_be_drawn_again(house: House) -> None:
    """A pilot has as many documents as asked, of every kind, verdict and store; the seed alone says which."""
    mixed(house)

    summary, lines = drawn(house, documents=12, seed="7")
    _, same = drawn(house, documents=12, seed="7")
    _, others = drawn(house, documents=12, seed="8")

    strata = {(line["kind"], line["verdict"], line["store"]) for line in lines}
    assert (len(lines), len(strata), summary.moves) == (12, 6, 8)
    assert [line["id"] for line in same] == [line["id"] for line in lines] != [line["id"] for line in others]
    assert summary.header is not None
    assert summary.header.pilot == {"documents": 12, "seed": "7", "of": 120}


def test_a_pilot_of_few_is_of_what_moves(house: House) -> None:
    """With room for few documents, those that are to be moved come first."""
    mixed(house, each=2)

    assert drawn(house, documents=4)[0].moves == 4


def test_a_pilot_leaves_the_others_alone(house: House) -> None:
    """What was not drawn is neither decided nor moved, and the next full plan is about it."""
    mixed(house, each=3)
    pilot = drawn(house, documents=6)[0]
    assert pilot.id is not None

    assert applied(house, pilot.id).moved == 4

    rest = planned(house)
    assert applied(house, rest).moved == 12 - 4


def test_a_pilot_after_a_new_rule_leaves_the_rest_to_be_decided(house: House) -> None:
    """When the rules changed and only a pilot was decided by them, the next plan is about all that stayed before."""
    for _ in range(4):
        house.source.crm.document("File", b"x", parents=[house.account("CN")])
    house.run()
    house.policy = CountryPolicy(fingerprint="2")
    drawn(house, documents=1)

    for site in house.site():
        assert make_plan(site).documents == 4


@dataclass
class Careful(CountryPolicy):
    """Wants a pilot of at most four documents first."""

    def __post_init__(self) -> None:
        self.terms = Terms(caps=Caps(pilot=4))


def test_a_large_plan_waits_for_a_pilot_without_failures(house: House) -> None:
    """Above the cap a plan is refused until a small one under the same policy was carried out and nothing failed."""
    mixed(house, each=5)
    house.policy = Careful()
    large = planned(house)
    with pytest.raises(Refused, match="--pilot 4"):
        applied(house, large)
    failing = drawn(house, documents=4)[0].id
    assert failing is not None
    house.wrapped_stores["de"] = Faulty(house.de).on("put", repeat=9, raise_=IntegrityError("read back differs")).port
    assert applied(house, failing).failed > 0
    house.wrapped_stores.clear()
    with pytest.raises(Refused, match="--pilot 4"):
        applied(house, planned(house))
    good = drawn(house, documents=4, seed="2")[0].id
    assert good is not None
    assert applied(house, good).failed == 0

    assert applied(house, planned(house)).failed == 0

    house.policy = Careful(fingerprint="other")
    house.source.crm.document("File", b"x" * 9, parents=[house.account("DE")])
    mixed(house, each=2)
    with pytest.raises(Refused, match="under the same policies"):
        applied(house, planned(house))


def test_a_plan_broken_off_can_be_applied_again(house: House) -> None:
    """A plan that stopped goes on under the same id; what had failed is counted, and left to the next plan."""

    class Picky(MemoryStore):
        def put(self, key, chunks, *, size=None, digest=None):  # type: ignore[no-untyped-def]
            body = b"".join(chunks)
            if body == b"3":
                raise IntegrityError("read back differs")
            return super().put(key, [body], size=size, digest=digest)

    refs = [house.source.crm.document("File", b"%d" % n, parents=[house.account("DE")]) for n in range(6)]
    plan = planned(house)
    house.wrapped_stores["de"] = store = Picky("de", countries=["DE"], now=house.clock.now)
    house.wrapped_source = Faulty(house.source).on("link", raise_=Exhausted("later")).port
    first = applied(house, plan)
    assert (first.moved, first.failed) == (0, 1)
    assert isinstance(first.stop_error, Exhausted)
    house.wrapped_source = None

    second = applied(house, plan)

    assert (second.moved, second.failed, second.stopped) == (5, 1, None)
    assert [house.states(ref) for ref in refs].count({"done"}) == 5
    store.put = MemoryStore.put.__get__(store)  # type: ignore[method-assign]
    assert house.run().moved == 1


def test_what_came_of_a_plan_is_in_the_log(house: House, plan: str) -> None:
    """The end of a plan is an event with what was moved and what failed."""
    applied(house, plan)

    for site in house.site():
        outcome = next(event.data for event in site.ledger.events() if event.type == "applied")
        assert plan_of(site, plan).status == "done"
    assert (outcome["plan"], outcome["moved"], outcome["failed"], outcome["bytes"]) == (plan, 3, 0, 3)
