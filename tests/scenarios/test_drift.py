"""A store whose place has changed takes nothing more until somebody accepts the change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from offloader.errors import Refused
from offloader.evidence import Baseline, canonical, drift
from offloader.ledger import open_ledger
from offloader.model import Assurance, LocationProof, Probe, ProbeVerdict
from offloader.moves.proofs import accept, baseline_of, keep, standing
from offloader.moves.run import run
from offloader.moves.site import Site
from offloader.wrappers.watched import WatchedStore
from tests.scenarios.conftest import House


def watched(house: House) -> Iterator[Site]:
    """The house's site with stores that are compared with the ledger, as the command line opens it."""
    for site in house.site():
        known = partial(baseline_of, site.ledger)
        yield replace(site, stores={name: WatchedStore(store, known) for name, store in site.stores.items()})


def go(house: House) -> int:
    """Run; how many documents were moved."""
    for site in watched(house):
        return run(site).moved
    raise AssertionError


def events(house: House, type: str) -> list[dict[str, object]]:
    with open_ledger(house.directory / "ledger.sqlite", now=house.clock.now, exclusive=False) as ledger:
        return [dict(event.data) for event in ledger.events() if event.type == type]


def file(house: House) -> None:
    house.source.crm.document("File", b"x", parents=[house.account("DE")])


def test_drift_stops_writes_until_it_is_accepted(house: House) -> None:
    """A good proof of another place is DRIFT: nothing is written, run after run, until a person accepts it."""
    house.de.evidence = {"replication": "none"}
    file(house)
    assert go(house) == 1
    house.de.evidence = {"replication": "a rule copies to the bucket x"}
    file(house)
    before = house.blobs(house.de)

    assert [go(house), go(house)] == [0, 0]

    assert house.blobs(house.de) == before
    for site in watched(house):
        proof = site.stores["de"].prove()
        assert proof.assurance is Assurance.DRIFT
        assert proof.changes == ("replication: was none, is a rule copies to the bucket x",)
        assert standing(site.ledger, "de").as_json()["changes"] == [*proof.changes]
        accept(site.ledger, house.de.prove(), person="mia", reason="a second copy in the house", changed=["all"])
    assert go(house) == 1
    said = events(house, "proof_accepted")
    assert [(each["person"], each["reason"]) for each in said] == [("mia", "a second copy in the house")]


def test_drift_is_written_down_once(house: House) -> None:
    """The event log has the new evidence and what changed, once, however often it is seen."""
    file(house)
    go(house)
    house.de.countries = frozenset({"DE", "US"})
    for _ in range(3):
        file(house)
        go(house)

    drifts = [each for each in events(house, "proof") if str(each["proof"]).startswith("DRIFT")]
    assert [each["changes"] for each in drifts] == [
        ["new among the countries: the United States", "countries: was DE, is DE US"]
    ]


def test_trouble_that_passes_needs_nobody(house: House) -> None:
    """A place that cannot be proven for a while stops writes; once it is proven as before, they go on by themselves."""
    file(house)
    go(house)
    house.de.assurance = Assurance.UNPROVEN
    file(house)
    assert go(house) == 0
    for site in watched(house):
        assert standing(site.ledger, "de").as_json()["assurance"] == "UNPROVEN"
    house.de.assurance = Assurance.PROVEN

    assert go(house) == 1
    for site in watched(house):
        assert standing(site.ledger, "de").closed is None


def test_trouble_in_between_hides_no_drift(house: House) -> None:
    """What is compared is the last good proof, also if there was none for a while."""
    file(house)
    go(house)
    house.de.assurance = Assurance.UNPROVEN
    file(house)
    go(house)
    house.de.assurance, house.de.countries = Assurance.PROVEN, frozenset({"DE", "FR"})

    for site in watched(house):
        assert site.stores["de"].prove().assurance is Assurance.DRIFT


def test_a_bad_place_cannot_be_accepted(house: House) -> None:
    """Nobody's word makes an unproven place a good one."""
    house.de.assurance = Assurance.UNPROVEN
    for site in watched(house):
        with pytest.raises(Refused, match="UNPROVEN"):
            accept(site.ledger, house.de.prove(), person="mia", reason="never mind", changed=[])
        keep(site, house.de.prove())
        assert baseline_of(site.ledger, "de") is None


def entry(answer: str, outcome: str = "ok", says: str = "s") -> str:
    return canonical({"answer": answer, "outcome": outcome, "places": {"home": ["DE"]}, "says": says})


@pytest.mark.parametrize(
    ("assurance", "evidence", "expected"),
    [
        (Assurance.PROVEN, {"asked": entry("a", says="other words"), "about": "2"}, []),
        (Assurance.PROVEN, {"passing": entry("b", "note")}, []),
        (Assurance.PROVEN, {"asked": entry("b")}, ['asked: the answer: was "a", is "b"']),
        (Assurance.ATTESTED, {}, ["the place was PROVEN, and is only ATTESTED now"]),
        (Assurance.VIOLATION, {"asked": entry("b")}, []),
    ],
)
def test_what_matters(house: House, assurance: Assurance, evidence: dict[str, str], expected: list[str]) -> None:
    """Wording, versions and unwatched answers are no drift; a watched answer and a weaker verdict are; a bad proof
    speaks for itself."""
    base = {"asked": entry("a"), "passing": entry("a"), "about": "1"}
    probes = tuple(
        Probe(id=name, question="?", answer="s", verdict=ProbeVerdict.OK, watched=name == "asked")
        for name in ("asked", "passing")
    )
    old: LocationProof = replace(house.de.prove(), evidence=base, probes=probes)
    new = replace(old, assurance=assurance, evidence={**base, **evidence})

    assert drift(Baseline.of(old), new) == expected
    assert Baseline.read(Baseline.of(old).text()) == Baseline.of(old)
