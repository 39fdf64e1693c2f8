"""The seeded org holds the world: every record, every byte, every trouble, and the expectations beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from offloader_connectors.emulation.corpus import Corpus
from offloader_connectors.emulation.expectations import EXPECTATIONS
from offloader_connectors.emulation.making import make_world
from offloader_connectors.emulation.mixes import FILES
from offloader_connectors.emulation.world import Hang, Special, World
from offloader_connectors.salesforce.emulator.org import Org
from offloader_connectors.salesforce.emulator.seed import seed

COUNT = 60


def _org(directory: Path) -> Org:
    return Org(directory, now=lambda: datetime(2026, 11, 20, 12, 0, tzinfo=UTC))


@pytest.fixture(scope="module")
def org(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Org]:
    org = _org(tmp_path_factory.mktemp("org"))
    seed(org, documents=COUNT, seed=1)
    yield org
    org.close()


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(COUNT, 1)


@pytest.fixture(scope="module")
def expected(org: Org) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (org.directory / EXPECTATIONS).read_text("utf-8").splitlines()]


def _row(org: Org, record_id: str) -> Mapping[str, Any]:
    row = org.get(record_id)
    assert row is not None
    return row


def _country(org: Org, record_id: str) -> str | None:
    """The country of a record, found by following the org's own references."""
    row = _row(org, record_id)
    if record_id.startswith("02s"):
        return _country(org, row["ParentId"])
    if record_id.startswith("001"):
        return row.get("BillingCountryCode")
    return _country(org, row["AccountId"])


def _parents(org: Org, line: Mapping[str, Any]) -> set[str]:
    if line["kind"] == "Attachment":
        return {_row(org, line["id"])["ParentId"]}
    links = [row for row in org.rows("ContentDocumentLink") if row["ContentDocumentId"] == line["id"]]
    return {row["LinkedEntityId"] for row in links if not row["LinkedEntityId"].startswith("005")}


def _versions(org: Org, document_id: str) -> list[Mapping[str, Any]]:
    rows = [row for row in org.rows("ContentVersion") if row["ContentDocumentId"] == document_id]
    return sorted(rows, key=lambda row: int(row["VersionNumber"]))


def test_the_same_seed_gives_the_same_org(org: Org, tmp_path: Path) -> None:
    """Two orgs of one seed hold the same rows with the same ids."""
    other = _org(tmp_path)
    seed(other, documents=COUNT, seed=1)

    for kind in ("Account", "Contact", "Case", "EmailMessage", "Attachment", "ContentVersion", "ContentDocumentLink"):
        assert other.rows(kind) == org.rows(kind)
    other.close()


def test_expectations_name_every_document(org: Org, world: World, expected: list[dict[str, Any]]) -> None:
    """There is one line for each document of the world, and the org has no other document."""
    ids: dict[str, set[str]] = {"ContentDocument": set(), "Attachment": set()}
    for line in expected:
        ids[line["kind"]].add(line["id"])

    assert len(expected) == len(world.documents) == COUNT
    assert ids == {kind: {row["Id"] for row in org.rows(kind)} for kind in ids}


def test_expected_countries_follow_from_the_records(org: Org, world: World, expected: list[dict[str, Any]]) -> None:
    """The countries found by walking the org's references are those of the world's records."""
    for document, line in zip(world.documents, expected, strict=True):
        assert {_country(org, parent) for parent in _parents(org, line)} == world.countries(document)
        assert line["country"] == world.expected_country(document)
        assert line["must_stay"] == world.must_stay(document)
        if line["must_stay"] is False:
            assert line["country"] in {"DE", "US", "AU", "BR"}


def test_every_byte_is_the_corpus_own(org: Org, world: World, expected: list[dict[str, Any]]) -> None:
    """Bodies in the org are those that the corpus makes, version by version, oldest first."""
    made = Corpus(1)
    for document, line in zip(world.documents, expected, strict=True):
        if document.special in (Special.NOTE, Special.LINK):
            continue
        wanted = [made.make(body, document.kind, document.language).data for body in document.bodies]
        if line["kind"] == "Attachment":
            held = [_row(org, line["id"])["_Body"]]
        else:
            versions = _versions(org, line["id"])
            held = [row["_VersionData"] for row in versions]
            assert [row["Checksum"] for row in versions] == [hashlib.md5(data).hexdigest() for data in wanted]
            assert [row["IsLatest"] for row in versions] == [False] * (len(versions) - 1) + [True]
        assert [org.blobs.read(blob["ref"]) for blob in held] == wanted


def test_names_arrive_unchanged(org: Org, world: World, expected: list[dict[str, Any]]) -> None:
    """Awkward names stand in the org as they are, as far as its fields are long enough."""
    for document, line in zip(world.documents, expected, strict=True):
        if document.hang is not Hang.FILE:
            assert _row(org, line["id"])["Name"] == document.name[:255]
        elif document.special not in (Special.LINK, Special.NOTE):
            assert _versions(org, line["id"])[0]["PathOnClient"] == document.name


def test_what_must_be_skipped_is_what_the_platform_says(org: Org, world: World, expected: list[dict[str, Any]]) -> None:
    """A note, a link, an asset, an archived file and one on a sent e-mail show in the org's own fields."""
    found: dict[Special, set[tuple[str, bool, bool, bool]]] = {special: set() for special in FILES.specials}
    for document, line in zip(world.documents, expected, strict=True):
        if document.special:
            row = _row(org, line["id"])
            statuses = {_row(org, parent).get("Status") for parent in _parents(org, line) if parent.startswith("02s")}
            found[document.special].add(
                (row["FileType"], bool(row.get("ContentAssetId")), row["IsArchived"], statuses == {"3"})
            )

    assert {seen[0] for seen in found[Special.NOTE]} == {"SNOTE"}
    assert {seen[0] for seen in found[Special.LINK]} == {"LINK"}
    assert {seen[1] for seen in found[Special.ASSET]} == {True}
    assert {seen[2] for seen in found[Special.ARCHIVED]} == {True}
    assert {seen[3] for seen in found[Special.SENT_EMAIL]} == {True}


def test_the_outsider_owns_nothing_and_contacts_are_private(org: Org, world: World) -> None:
    """The user without access owns no record, has no share, and contacts follow the private accounts."""
    name = next(user.username for user in world.users if user.role == "outsider")
    outsider = next(row for row in org.rows("User") if row["Username"] == name)

    for kind in ("Account", "Contact", "Case", "Opportunity", "ContentDocument", "Attachment"):
        assert outsider["Id"] not in {row["OwnerId"] for row in org.rows(kind)}
    assert outsider["Id"] not in {row["LinkedEntityId"] for row in org.rows("ContentDocumentLink")}
    assert {org.options.sharing[kind] for kind in ("Account", "Contact", "Case", "Opportunity")} == {"Private"}


def test_an_owner_has_left_the_company(org: Org) -> None:
    """Some document is owned by an inactive user."""
    active = {row["Id"]: row["IsActive"] for row in org.rows("User")}

    assert False in {active[row["OwnerId"]] for row in org.rows("ContentDocument")}
