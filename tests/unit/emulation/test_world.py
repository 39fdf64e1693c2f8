"""The made-up world has every sort of trouble in believable shares, and is the same every time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import pytest

from offloader_connectors.emulation.corpus import EMPTY_INDEX, Corpus
from offloader_connectors.emulation.making import MANY_PARENTS, REFERENCE, make_world
from offloader_connectors.emulation.mixes import FILES
from offloader_connectors.emulation.places import PLACES
from offloader_connectors.emulation.world import Document, Hang, Role, World

#: what a world of files tells, by part and field
_TOLD = {
    "users": ("key", "first_name", "last_name", "username", "role", "country", "active"),
    "accounts": ("key", "name", "town", "country", "country_text", "language", "owner", "created"),
    "people": ("key", "account", "first_name", "last_name", "email"),
    "cases": ("key", "account", "person", "subject"),
    "opportunities": ("key", "account", "name"),
    "emails": ("key", "case", "account", "sender", "recipient", "subject", "text", "sent"),
    "documents": (
        "key", "name", "kind", "language", "hang", "owner", "parents", "bodies", "created", "special",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(2000, 1)


def _share(world: World, hang: Hang) -> float:
    return sum(document.hang is hang and not document.special for document in world.documents) / len(world.documents)


def test_a_world_is_made_again_the_same() -> None:
    """The same number and seed give an equal world, another seed another one."""
    assert make_world(200, 3) == make_world(200, 3)
    assert make_world(200, 3).documents != make_world(200, 4).documents


@pytest.mark.parametrize(
    ("count", "seed", "sha256"),
    [
        (60, 1, "15a04035813dce3a3be45a3f9fa387a03eae6e5fe66aa127b0c55c75328cdb0e"),
        (333, 4, "c8e383a8e2da8f82236d38c5fd3282eff58bb2f6d266e98739cd69b471f085da"),
        (2000, 1, "c2045e372091491fc3cc598d230f71a844f68c71fe3b7ed8e732822823254344"),
    ],
)
def test_a_world_of_files_is_the_same_in_every_release(count: int, seed: int, sha256: str) -> None:
    """Who knows a number of documents and a seed knows the world, whatever other mixes there are."""
    world = make_world(count, seed)
    told = {
        part: [[getattr(each, name) for name in names] for each in getattr(world, part)]
        for part, names in _TOLD.items()
    }

    assert hashlib.sha256(json.dumps(told, default=str, sort_keys=True).encode()).hexdigest() == sha256
    assert (world.shipments, world.furnishings, world.remarks) == ((), (), ())
    assert {document.content_id for document in world.documents} == {None}


@pytest.mark.parametrize("count", [0, 1, 2, 7, 29, 30, 50, 333])
def test_a_world_has_as_many_documents_as_asked_for(count: int) -> None:
    """The number of documents is exact in every size."""
    documents = make_world(count, 1).documents

    assert len(documents) == count
    assert len({document.key for document in documents}) == count


def test_shares_are_those_promised(world: World) -> None:
    """Files, attachments of records and of e-mails, versions and parents come in their shares."""
    documents = world.documents

    assert _share(world, Hang.FILE) == pytest.approx(0.76, abs=0.02)
    assert _share(world, Hang.RECORD_ATTACHMENT) == pytest.approx(0.12, abs=0.005)
    assert _share(world, Hang.EMAIL_ATTACHMENT) == pytest.approx(0.08, abs=0.005)
    assert sum(len(document.parents) for document in documents) / len(documents) == pytest.approx(1.2, abs=0.05)
    assert 0.06 < sum(len(document.bodies) > 1 for document in documents) / len(documents) < 0.12
    assert Counter(len(document.parents) for document in documents)[MANY_PARENTS] == 1


@pytest.mark.parametrize("count", [30, 50, 2000])
def test_every_trouble_is_there(count: int) -> None:
    """Even a small world has each special kind, each country, one account without a country, and an empty file."""
    world = make_world(count, 1)

    assert {document.special for document in world.documents} == {None, *FILES.specials}
    seen = set().union(*(world.countries(document) for document in world.documents))
    assert seen == {None, *PLACES}
    combinations = {world.countries(document) for document in world.documents}
    assert {frozenset({"DE", "US"}), frozenset({"DE", "CN"})} <= combinations
    assert [account.country for account in world.accounts].count(None) == 1
    assert any(document.bodies == (EMPTY_INDEX,) for document in world.documents)
    assert any(not document.parents for document in world.documents)
    assert {user.role for user in world.users} == set(Role)
    leavers = {user.key for user in world.users if not user.active}
    assert any(document.owner in leavers for document in world.documents)


def test_equal_bytes_lie_in_different_places(world: World) -> None:
    """Some bodies stand in more than one document, also across countries, and are the same bytes there."""
    by_body: dict[tuple[int, ...], list[Document]] = {}
    for document in world.documents:
        if document.bodies:
            by_body.setdefault(document.bodies, []).append(document)
    twins = [group for group in by_body.values() if len(group) > 1]

    assert len(twins) > 10
    assert any(world.countries(group[0]) != world.countries(group[1]) for group in twins)
    made = Corpus(1)
    for one, *others in twins[:5]:
        data = {made.make(twin.bodies[0], twin.kind, twin.language).data for twin in (one, *others)}
        assert len(data) == 1


def test_every_reference_leads_somewhere(world: World) -> None:
    """Owners are users; parents are records of the right sort; times are ordered and not in the future."""
    users = {user.key for user in world.users}
    emails = {email.key for email in world.emails}
    for document in world.documents:
        assert document.owner in users
        assert all((parent in emails) == (parent.split("-")[0] == "email") for parent in document.parents)
        on_email = bool(emails & set(document.parents))
        assert on_email == (document.hang is Hang.EMAIL_ATTACHMENT or document.special == "sent e-mail")
        assert document.hang is Hang.FILE or len(document.parents) == len(document.bodies) == 1
        assert list(document.created) == sorted(document.created)
        assert document.created[-1] <= REFERENCE
        assert len(document.created) == max(1, len(document.bodies))


@pytest.mark.parametrize(
    ("countries", "expected"),
    [
        ({"DE"}, "DE"),
        ({"FR"}, "DE"),
        ({"NL", "DE"}, "DE"),
        ({"US"}, "US"),
        ({"AU"}, "AU"),
        ({"BR"}, "BR"),
        ({"DE", "US"}, "DE"),
        ({"DE", "CN"}, None),
        ({"CN"}, None),
        ({"RU"}, None),
        ({None}, None),
        ({None, "DE"}, None),
        (set(), None),
    ],
)
def test_expected_country_is_where_the_law_lets_the_bytes_go(
    world: World, countries: set[str | None], expected: str | None
) -> None:
    """Documents go to the one store that all their countries allow, and stay when there is none."""
    matching = [document for document in world.documents if world.countries(document) == countries]
    if not matching:
        by_country = {account.country: account.key for account in world.accounts}
        parents = tuple(by_country[country] for country in countries)
        matching = [_on(world.documents[0], parents)]

    assert {world.expected_country(document) for document in matching} == {expected}
    assert all(world.must_stay(document) == (not expected or bool(document.special)) for document in matching)


def _on(document: Document, parents: tuple[str, ...]) -> Document:
    return Document(
        key="x",
        name=document.name,
        kind=document.kind,
        language=document.language,
        hang=Hang.FILE,
        owner=document.owner,
        parents=parents,
        bodies=document.bodies,
        created=document.created,
    )
