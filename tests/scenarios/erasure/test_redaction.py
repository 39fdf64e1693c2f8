"""A document of several people: one is taken off it, it stays for the others."""

from __future__ import annotations

import pytest

from offloader.disposition.certificate import certify
from offloader.disposition.erasing import apply_erasure
from offloader.disposition.erasure import (
    NAMES_THE_PERSON,
    NO_LINK_OF_ITS_OWN,
    ONLY_NAMED,
    ORIGINAL_STANDS,
    REDACT,
    REVIEW,
)
from offloader.errors import ConfigError
from offloader.moves.scan import scan
from tests.scenarios.erasure.conftest import NAME, Case
from tests.scenarios.test_rebuild import lose_ledger


def number(case: Case) -> str:
    """The id of her record."""
    return case.subject.partition(":")[2]


def parents(case: Case) -> list[str]:
    return [f"{parent.type}:{parent.id}" for parent in case.house.entry(case.shared).document.parents]


def test_she_is_taken_off_and_it_stays_for_him(case: Case) -> None:
    """The link hangs on his record alone, ledger and catalog know nothing of her, and the bytes and the link stay."""
    before = case.house.entry(case.shared)
    with case.at() as site:
        made = case.plan(site, redact=(str(case.shared),))
        assert made.row is not None
        report = apply_erasure(site, made.row.id)
        proof = certify(site, made.row.id, backups={}).statement
        (request,) = site.ledger.requests()

    assert report.states == {"done": 3}
    assert request.state == "done"
    (link,) = (each for each in case.house.source.crm.links.values() if each.title == "lease.pdf")
    assert [":".join(each) for each in link.parents] == [case.other] == parents(case)
    now = case.house.entry(case.shared)
    assert (now.link, now.versions) == (before.link, before.versions)
    assert number(case).encode() not in case.everything()
    (version,) = now.versions
    assert b"".join(case.house.de.read(version.copies[0].key)) == b"both"
    (redacted,) = proof["redacted"]
    assert (redacted["state"], redacted["others"], redacted["stays"][:5]) == ("done", 1, "bytes")
    assert [each["evidence"] for each in redacted["in_crm"]] == ["read back, the link hangs on the other records alone"]


def test_what_the_catalog_says_is_enough_to_rebuild(case: Case) -> None:
    """A ledger that is rebuilt from the stores has the document for him, and not for her."""
    with case.at() as site:
        made = case.plan(site, redact=(str(case.shared),))
        assert made.row is not None
        apply_erasure(site, made.row.id)
    lose_ledger(case.house)

    assert parents(case) == [case.other]


def test_a_link_that_was_shared_since_is_left_alone(case: Case) -> None:
    """Where users have shared the link with others meanwhile, nothing is taken off and the report says so."""
    with case.at() as site:
        made = case.plan(site, redact=(str(case.shared),))
    assert made.row is not None
    crm = case.house.source.crm
    (link,) = (each for each in crm.links.values() if each.title == "lease.pdf")
    link.parents = {**link.parents, crm.record("Contact", country="DE"): {}}
    report = case.apply(made.row.id)

    assert report.states == {"done": 2, "conflict": 1}
    assert "otherwise than it was written" in report.examples["conflict"]
    assert len(link.parents) == 3
    assert len(parents(case)) == 2


def test_asked_again_it_is_done(case: Case) -> None:
    """Killed after the CRM was changed and before the ledger was, the next time ends the same."""
    with case.at() as site:
        made = case.plan(site, redact=(str(case.shared),))
    assert made.row is not None
    crm = case.house.source.crm
    (link,) = (each for each in crm.links.values() if each.title == "lease.pdf")
    link.parents = {key: value for key, value in link.parents.items() if ":".join(key) != case.subject}

    assert case.apply(made.row.id).states == {"done": 3}
    assert parents(case) == [case.other]


@pytest.mark.parametrize("why", [NO_LINK_OF_ITS_OWN, ORIGINAL_STANDS, NAMES_THE_PERSON, ONLY_NAMED])
def test_what_cannot_be_done_is_said(case: Case, why: str) -> None:
    """A document from which nobody can be taken stays for a person to decide, with words that name nobody."""
    crm = case.house.source.crm
    hers, his = (each.split(":") for each in (case.subject, case.other))
    kind = "Note" if why == NO_LINK_OF_ITS_OWN else "File"
    people = [(type_, id_) for type_, id_ in ([his] if why == ONLY_NAMED else [hers, his])]
    title = f"{NAME} lease.pdf" if why in (NAMES_THE_PERSON, ONLY_NAMED) else "other.pdf"
    ref = crm.document(kind, b"other", name=title, parents=people)
    if why == ORIGINAL_STANDS:
        with case.at() as site:
            scan(site)
    else:
        case.house.run()
    with case.at() as site:
        made = case.plan(site, redact=(str(ref),), names=(NAME,))
        (planned,) = (each for each in made.planned if each.ref == ref)

    assert (planned.act, planned.code) == (REVIEW, why)


def test_a_held_document_keeps_everybody(case: Case) -> None:
    """A legal hold on her record lets nobody be taken off; after its release the same plan goes on."""
    with case.at() as site:
        made = case.plan(site, redact=(str(case.shared),))
    assert made.row is not None
    hold = case.hold(records=(case.subject,))
    assert case.apply(made.row.id).states == {"held": 3}
    assert len(parents(case)) == 2
    case.release(hold)

    assert case.apply(made.row.id).states == {"done": 3}
    assert parents(case) == [case.other]


def test_nobody_decides_both(case: Case) -> None:
    """A document cannot go and stay at once; one that hangs on her alone is erased, whatever was said."""
    name = str(case.shared)
    with case.at() as site, pytest.raises(ConfigError, match="cannot both go"):
        case.plan(site, include=(name,), redact=(name,))
    with case.at() as site:
        made = case.plan(site, redact=(str(case.mine["file"]),))

    assert [each.act for each in made.planned if each.ref == case.mine["file"]] == ["erase"]
    assert made.of(REDACT) == []
