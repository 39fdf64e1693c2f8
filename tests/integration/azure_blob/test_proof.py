"""Location proofs: of Azurite as it is, of Azurite with what it lacks beside it, and of every bad answer."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

from offloader.evidence import compare
from offloader.model import Assurance, LocationProof
from offloader.plugins import Context
from offloader.testing import EPOCH, context
from offloader_connectors import tls
from offloader_connectors.azure_blob.client import Clients, _Adapter
from offloader_connectors.azure_blob.options import AzureBlobOptions
from offloader_connectors.azure_blob.probes import PERMISSIONS
from offloader_connectors.azure_blob.store import AzureBlobStore
from offloader_connectors.azure_blob.testparts.arm import account_path, described
from offloader_connectors.azure_blob.testparts.testbed import Testbed

from .conftest import MakeStore

MICROSOFT = "https://management.azure.com"
ACCOUNT = account_path("sandbox")
OTHER = account_path("other")


class _Diverted(HTTPAdapter):
    """Connections to Microsoft that end at the emulated management API."""

    def __init__(self, inner: HTTPAdapter, url: str) -> None:
        super().__init__()
        self._inner, self._url = inner, url

    def send(self, request: requests.PreparedRequest, *args: Any, **rest: Any) -> requests.Response:
        request.url = (request.url or "").replace(MICROSOFT, self._url)
        return self._inner.send(request, *args, **rest)


@pytest.fixture(autouse=True)
def diverted(bed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a store asks Microsoft's management API, the emulated one answers."""
    opened = Clients.arm.fget
    assert opened is not None

    def arm(self: Clients) -> requests.Session:
        session = opened(self)
        if f"{MICROSOFT}/" in session.adapters:
            session.mount(
                f"{MICROSOFT}/", _Diverted(_Adapter(tls.trusting(bed.ca_file, bed.ca_file.parent)), bed.arm.url)
            )
        return session

    monkeypatch.setattr(Clients, "arm", property(arm))


@pytest.fixture
def account(bed: Testbed) -> Iterator[dict[str, Any]]:
    """The account's description, to be changed."""
    before = copy.deepcopy(bed.account)
    yield bed.account
    bed.account.clear()
    bed.account.update(before)


#: proves with Microsoft's own management API, changed by options
Prove = Callable[..., LocationProof]


#: asks Microsoft's management API, on nobody's word
MakeAsking = Callable[..., AzureBlobStore]


@pytest.fixture
def make_asking(make_store: MakeStore, bed: Testbed, tmp_path: Path) -> MakeAsking:
    def make(**changes: Any) -> AzureBlobStore:
        arm = {**bed.store_options("x")["arm"], "endpoint": MICROSOFT}
        given: dict[str, Any] = {"arm": arm, "attested_by": None, "attested_until": None, **changes}
        return make_store(context=context(tmp_path), **given)

    return make


@pytest.fixture
def asking(make_asking: MakeAsking) -> AzureBlobStore:
    return make_asking()


@pytest.fixture
def prove(make_asking: MakeAsking) -> Prove:
    return lambda **changes: make_asking(**changes).prove()


def answer(proof: LocationProof, probe: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(proof.evidence[probe])
    return found


def test_what_microsoft_says_is_proven(prove: Prove) -> None:
    """With location and redundancy from Microsoft's management API the place is proven, for a day."""
    proof = prove()
    assert proof.assurance is Assurance.PROVEN
    assert proof.countries == {"DE"}
    assert proof.taken == EPOCH
    assert proof.expires == EPOCH + timedelta(hours=24)
    assert "germanywestcentral (DE)" in proof.summary
    assert answer(proof, "account")["answer"]["sku"]["name"] == "Standard_LRS"


def test_the_term_of_a_proof_is_configured(prove: Prove) -> None:
    """A proof holds as long as the options say."""
    assert prove(proof_hours=2).expires == EPOCH + timedelta(hours=2)


def test_azurite_as_it_is_is_refused(bed: Testbed, container: str, real_time: Context) -> None:
    """Azurite calls itself geo-redundant and does not know where it is: nothing may be written to it."""
    proof = bare(bed, container, real_time).prove()
    assert proof.assurance is Assurance.UNPROVEN
    assert not proof.usable_at(proof.taken)
    assert answer(proof, "redundancy")["answer"]["sku_name"] == "Standard_RAGRS"
    assert "attest" in proof.summary


def bare(bed: Testbed, container: str, given: Context, **changes: Any) -> AzureBlobStore:
    options = {**bed.store_options(container, bare=True), **changes}
    return AzureBlobStore("azure", AzureBlobOptions.model_validate(options), given)


WORD = {"attested_by": "the contract of 2025", "attested_until": "2026-01-31"}


@pytest.mark.parametrize(
    ("changes", "assurance", "countries"),
    [
        # the pair of germanywestcentral is in Germany, that of westeurope in Ireland
        ({**WORD}, Assurance.ATTESTED, {"DE"}),
        ({**WORD, "region": "westeurope", "country": "NL"}, Assurance.VIOLATION, {"NL", "IE"}),
        ({**WORD, "region": None}, Assurance.UNPROVEN, {"DE"}),
        ({**WORD, "region": "atlantis1"}, Assurance.UNPROVEN, set()),
        ({**WORD, "region": "austriaeast", "country": "AT"}, Assurance.UNPROVEN, {"AT"}),
        ({**WORD, "country": "FR"}, Assurance.VIOLATION, {"DE"}),
        ({**WORD, "attested_until": "2026-01-04"}, Assurance.UNPROVEN, {"DE"}),
    ],
)
def test_a_person_can_vouch_for_the_region_but_not_for_its_pair(
    bed: Testbed,
    container: str,
    tmp_path: Path,
    changes: Mapping[str, Any],
    assurance: Assurance,
    countries: set[str],
) -> None:
    """Without the management API a geo-redundant account needs somebody's word, and a pair that the table knows in the
    same country.
    """
    proof = bare(bed, container, context(tmp_path), **changes).prove()
    assert (proof.assurance, proof.countries) == (assurance, countries)


def test_a_word_ends_on_its_day(bed: Testbed, container: str, tmp_path: Path) -> None:
    """A proof that rests on somebody's word ends with it, if that is sooner."""
    proof = bare(bed, container, context(tmp_path), **{**WORD, "attested_until": "2026-01-05"}).prove()
    assert proof.expires == EPOCH.replace(hour=0) + timedelta(days=1)


def test_another_management_api_needs_somebodys_word(make_store: MakeStore) -> None:
    """What a management API says that is not Microsoft's is not proven, only attested."""
    assert make_store().prove().assurance is Assurance.ATTESTED
    alone = make_store(attested_by=None, attested_until=None).prove()
    assert alone.assurance is Assurance.UNPROVEN
    assert "not one of Microsoft's own" in alone.summary


def change(account: dict[str, Any], path: str, value: Any) -> None:
    *folders, last = path.split(".")
    for folder in folders:
        account = account.setdefault(folder, {})
    account[last] = value


P, V, U = Assurance.PROVEN, Assurance.VIOLATION, Assurance.UNPROVEN


@pytest.mark.parametrize(
    ("changes", "assurance", "said"),
    [
        ({"properties.primaryLocation": "West Europe"}, V, "is in westeurope, not in germanywestcentral"),
        ({"properties.primaryLocation": "francecentral"}, V, "outside of DE"),
        ({"properties.primaryLocation": "germanynorth"}, V, "not in germanywestcentral"),
        ({"properties.primaryLocation": "jioindiawest"}, V, "not known"),
        ({"location": "westeurope"}, V, "was made in westeurope (NL), outside of DE"),
        ({"location": "germanynorth"}, P, "failed over from germanynorth"),
        ({"properties.primaryLocation": None, "location": None}, V, "no known region"),
        ({"properties.secondaryLocation": "francecentral"}, V, "outside of DE"),
        ({"properties.secondaryLocation": "atlantis1"}, U, "atlantis1"),
        ({"sku.name": "Standard_GRS"}, U, "the blob endpoint says Standard_LRS, the management API Standard_GRS"),
        ({"sku.name": "Standard_XRS"}, U, "Standard_XRS"),
        ({"sku": None}, U, "nothing"),
        ({"properties.failoverInProgress": True}, U, "failing over"),
        ({"properties.failoverInProgress": "yes"}, U, "failing over"),
        ({"properties.accountMigrationInProgress": True}, U, "migrated"),
        ({"properties.lastGeoFailoverTime": "2026-01-01T00:00:00Z"}, P, "failed over before"),
        (
            {
                "properties.storageAccountSkuConversionStatus": {
                    "skuConversionStatus": "InProgress",
                    "targetSkuName": "Standard_GRS",
                }
            },
            P,
            "germanynorth (DE)",
        ),
        (
            {
                "properties.storageAccountSkuConversionStatus": {
                    "skuConversionStatus": "InProgress",
                    "targetSkuName": ["x"],
                }
            },
            U,
            "unknown",
        ),
        ({"extendedLocation": {"name": "losangeles", "type": "EdgeZone"}}, U, "edge zone"),
        ({"properties.primaryEndpoints.blob": "https://other.blob.core.windows.net/"}, U, "another address"),
        ({"properties.primaryEndpoints": "x"}, U, "another address"),
        ({"properties": "x"}, U, "another address"),
        ({"properties.primaryLocation": "chinanorth3"}, V, "AzurePublic"),
        (
            {
                "properties.encryption": {
                    "keySource": "Microsoft.Keyvault",
                    "keyvaultproperties": {"keyvaulturi": "https://keys.vault.azure.net"},
                }
            },
            P,
            "keys.vault",
        ),
        ({"properties.allowCrossTenantReplication": None}, P, "allowCrossTenantReplication"),
    ],
)
def test_every_fact_about_the_account_counts(
    account: dict[str, Any], prove: Prove, changes: Mapping[str, Any], assurance: Assurance, said: str
) -> None:
    """Location, redundancy, failover and address are each weighed, and the summary says in words what is wrong."""
    for path, value in changes.items():
        change(account, path, value)
    proof = prove()
    assert proof.assurance is assurance
    assert said in proof.summary


@pytest.mark.parametrize(
    ("region", "country", "secondary", "assurance", "countries"),
    [
        ("germanywestcentral", None, "germanynorth", P, {"DE"}),
        ("westeurope", None, "northeurope", P, {"NL", "IE"}),
        ("westeurope", None, None, P, {"NL", "IE"}),
        ("westeurope", "NL", "northeurope", V, {"NL", "IE"}),
        ("austriaeast", None, None, U, {"AT"}),
        ("brazilsouth", "BR", None, V, {"BR", "US"}),
    ],
)
def test_a_geo_redundant_account_is_in_both_its_countries(
    bed: Testbed,
    account: dict[str, Any],
    prove: Prove,
    monkeypatch: pytest.MonkeyPatch,
    region: str,
    country: str | None,
    secondary: str | None,
    assurance: Assurance,
    countries: set[str],
) -> None:
    """The pair's country counts, whether Azure names it or only the table does; without a pair nothing is proven."""
    monkeypatch.setitem(bed.proxy.rewrite, "x-ms-sku-name", "Standard_RAGRS")
    account["location"] = account["properties"]["primaryLocation"] = region
    account["sku"]["name"] = "Standard_RAGRS"
    if secondary:
        account["properties"]["secondaryLocation"] = secondary
    proof = prove(region=region, country=country)
    assert (proof.assurance, proof.countries) == (assurance, countries)


def policy(destination: str, **properties: Any) -> dict[str, Any]:
    rules = [{"ruleId": "1", "sourceContainer": properties.pop("container", "any"), "destinationContainer": "copies"}]
    return {"properties": {"sourceAccount": ACCOUNT, "destinationAccount": destination, "rules": rules, **properties}}


@pytest.mark.parametrize(
    ("policies", "assurance", "countries"),
    [
        ([policy(OTHER)], P, {"DE", "FR"}),
        ([policy(OTHER, sourceAccount="")], P, {"DE", "FR"}),
        ([policy(OTHER, rules=[])], P, {"DE", "FR"}),
        ([policy(OTHER, sourceAccount="sandbox")], P, {"DE", "FR"}),
        ([policy(OTHER, container="elsewhere")], P, {"DE"}),
        ([policy(OTHER, sourceAccount=account_path("third"))], P, {"DE"}),
        ([policy("other")], U, {"DE"}),
        ([policy(account_path("hidden"))], U, {"DE"}),
        ([policy(OTHER, rules="x")], U, {"DE"}),
        ("x", U, {"DE"}),
        ([7], U, {"DE"}),
    ],
)
def test_copies_to_other_accounts_are_followed(
    bed: Testbed, container: str, prove: Prove, policies: Any, assurance: Assurance, countries: set[str]
) -> None:
    """An object replication rule on this container leads to the other account's place; if that cannot be seen, nothing
    is proven.
    """
    text = json.dumps(policies).replace('"any"', json.dumps(container))
    bed.arm.answers[f"{ACCOUNT}/objectReplicationPolicies"] = (200, {"value": json.loads(text)})
    bed.arm.answers[OTHER] = (
        200,
        described("other", "https://other.blob.core.windows.net", "francecentral", "Standard_LRS"),
    )
    proof = prove(country=None)
    assert (proof.assurance, proof.countries) == (assurance, countries)


def test_copies_abroad_are_a_violation(bed: Testbed, container: str, prove: Prove) -> None:
    """A geo-redundant destination counts with its pair, and a country that was not meant is a violation."""
    bed.arm.answers[f"{ACCOUNT}/objectReplicationPolicies"] = (200, {"value": [policy(OTHER, container=container)]})
    bed.arm.answers[OTHER] = (200, described("other", "https://x", "westeurope", "Standard_GRS"))
    proof = prove()
    assert (proof.assurance, proof.countries) == (V, {"DE", "NL", "IE"})


@pytest.mark.parametrize(
    ("resource", "status", "body", "assurance", "said"),
    [
        ("", 403, {}, U, "permission Microsoft.Storage/storageAccounts/read is missing"),
        ("", 404, {}, U, "knows nothing of that name"),
        ("", 500, {}, U, "does not answer (HTTP 500)"),
        ("", 200, b"<html>", U, "cannot be understood"),
        ("", 200, [], U, "cannot be understood"),
        ("", 200, b"[" * 100_000, U, "cannot be understood"),
        ("", 307, {}, U, "HTTP 307"),
        ("/objectReplicationPolicies", 403, {}, U, "objectReplicationPolicies/read is missing"),
        ("/objectReplicationPolicies", 404, {}, U, "knows nothing"),
        ("/objectReplicationPolicies", 200, {}, U, "lacks what was asked"),
        ("/managementPolicies/default", 403, {}, P, ""),
        ("/blobServices/default", 403, {}, P, ""),
    ],
)
def test_no_answer_is_no_proof(
    bed: Testbed, prove: Prove, resource: str, status: int, body: Any, assurance: Assurance, said: str
) -> None:
    """A question that must be answered and is not leaves the place unproven, and says which permission is missing."""
    bed.arm.answers[ACCOUNT + resource] = (status, body)
    proof = prove()
    assert proof.assurance is assurance
    assert said in proof.summary


def test_an_endless_answer_is_cut_off(bed: Testbed, prove: Prove) -> None:
    """An answer of more than a few megabytes is not read to its end, and proves nothing."""
    bed.arm.answers[ACCOUNT] = (200, b'{"a":"' + b"x" * (5 << 20) + b'"}')
    assert prove().assurance is U


def test_nobody_at_home_is_no_proof(prove: Prove, bed: Testbed) -> None:
    """A management API that cannot be reached, or not logged in to, leaves the place unproven."""
    arm = {**bed.store_options("x")["arm"], "endpoint": "https://127.0.0.1:1"}
    assert "cannot be reached" in prove(arm=arm).summary
    assert "is not set" in prove(arm={**arm, "token": "env:NOT_THERE"}).summary


@pytest.mark.parametrize(
    ("operation", "status", "code", "assurance", "said"),
    [
        ("GetAccountInformation", 403, "AuthorizationPermissionMismatch", P, "getInfo/action is missing"),
        ("GetAccountInformation", 503, "ServerBusy", U, "ServerBusy"),
        ("GET container", 403, "AuthorizationFailure", U, "AuthorizationFailure"),
        ("GET container", 404, "ContainerNotFound", U, "container is not there"),
        ("GET container", 503, "", U, "HTTP 503"),
    ],
)
def test_the_blob_endpoint_must_answer(
    bed: Testbed, prove: Prove, operation: str, status: int, code: str, assurance: Assurance, said: str
) -> None:
    """Without an answer about the container nothing is proven; the redundancy may come from elsewhere."""
    bed.proxy.faults.on(operation, "status", status=status, code=code)
    proof = prove()
    assert proof.assurance is assurance
    assert said in proof.summary


def test_without_the_management_api_the_redundancy_must_be_told(bed: Testbed, make_store: MakeStore) -> None:
    """If only the blob endpoint can say whether copies leave the region, it has to."""
    bed.proxy.faults.on("GetAccountInformation", "status", status=403, code="AuthorizationPermissionMismatch")
    assert make_store(without="arm").prove().assurance is U


@pytest.mark.parametrize("sku", ["Standard_NEW", "", "standard_lrs"])
def test_an_unknown_redundancy_proves_nothing(
    bed: Testbed, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, sku: str
) -> None:
    """A redundancy that the table does not have, to the letter, is not taken for a harmless one."""
    monkeypatch.setitem(bed.proxy.rewrite, "x-ms-sku-name", sku)
    assert make_store(without="arm").prove().assurance is U


def test_a_container_that_the_world_can_read_is_a_violation(
    bed: Testbed, prove: Prove, container: str, real_time: Context
) -> None:
    """Public access to the container is refused, wherever it is."""
    client = Clients(AzureBlobOptions.model_validate(bed.store_options(container, bare=True)), real_time).container
    client.set_container_access_policy(signed_identifiers={}, public_access="blob")
    proof = prove()
    assert proof.assurance is V
    assert "the world can read" in proof.summary


def rule(**changes: Any) -> dict[str, Any]:
    actions = changes.pop("actions", {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 30}}})
    filters = {"blobTypes": ["blockBlob"], **changes.pop("filters", {})}
    return {"enabled": True, "name": "tidy", "definition": {"actions": actions, "filters": filters}, **changes}


@pytest.mark.parametrize(
    ("found", "assurance"),
    [
        (rule(), V),
        (rule(enabled=False), P),
        (rule(filters={"prefixMatch": ["other/"]}), P),
        (rule(filters={"prefixMatch": ["{container}/documents"]}), V),
        (rule(filters={"prefixMatch": ["{container}"]}), V),
        (rule(filters={"prefixMatch": [7]}), V),
        (rule(actions={"snapshot": {"delete": {}}}), P),
        (rule(actions={"baseBlob": {"tierToArchive": {}}}), P),
        (rule(actions={"baseBlob": {"delete": {}}}, enabled="no"), V),
    ],
)
def test_rules_that_delete_documents_are_refused(
    bed: Testbed, container: str, prove: Prove, found: Any, assurance: Assurance
) -> None:
    """A lifecycle rule that deletes what is stored is no safe place; one for other blobs is none of our business."""
    rules = json.loads(json.dumps([found]).replace("{container}", container))
    bed.arm.answers[f"{ACCOUNT}/managementPolicies/default"] = (200, {"properties": {"policy": {"rules": rules}}})
    assert prove().assurance is assurance


def test_an_account_that_lists_otherwise_is_pointed_out(
    bed: Testbed, prove: Prove, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is stored, the proof says that an account's lists are not in the order of keys."""
    monkeypatch.setitem(bed.proxy.rewrite, "x-ms-is-hns-enabled", "true")
    assert "hierarchical" in prove().summary


def test_what_stays_after_removal_is_said(bed: Testbed, prove: Prove) -> None:
    """Soft delete and versions are named, because an erasure is not complete before their term."""
    bed.arm.answers[f"{ACCOUNT}/blobServices/default"] = (
        200,
        {"properties": {"deleteRetentionPolicy": {"enabled": True, "days": 7}, "isVersioningEnabled": True}},
    )
    summary = prove().summary
    assert "7 days" in summary
    assert "versions are kept" in summary


def test_what_passes_is_no_part_of_the_evidence(account: dict[str, Any], prove: Prove) -> None:
    """The evidence is the same as long as the place is; what changed is said in words."""
    account["properties"]["geoReplicationStats"] = {"status": "Live", "lastSyncTime": "2026-01-05T08:00:00Z"}
    before = prove()
    account["properties"]["geoReplicationStats"]["lastSyncTime"] = "2026-01-05T09:00:00Z"
    account["tags"] = {"owner": "somebody else"}
    assert prove().sha256 == before.sha256
    account["sku"]["name"] = "Standard_GRS"
    after = prove()
    assert after.sha256 != before.sha256
    assert any("Standard_GRS" in line for line in compare(before.evidence, after.evidence))


def test_evidence_holds_no_secret(bed: Testbed, prove: Prove) -> None:
    """Neither the key nor the token gets into evidence or summary."""
    bed.arm.answers[ACCOUNT] = (401, {})
    for proof in (prove(), prove(country=None)):
        written = json.dumps(dict(proof.evidence)) + proof.summary
        assert bed.azurite.key not in written
        assert bed.arm.token not in written


def test_permissions_are_those_that_are_asked_for() -> None:
    """The list of permissions for a compliance team is sorted, complete and only for reading."""
    assert [*PERMISSIONS] == sorted(PERMISSIONS)
    assert all(name.endswith(("/read", "/getInfo/action")) for name in PERMISSIONS)


VALUES = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "westeurope", "Standard_GRS", "x" * 300, [], {}])
)
FIELDS = [
    "location",
    "sku",
    "sku.name",
    "properties",
    "extendedLocation",
    *(
        f"properties.{name}"
        for name in (
            "primaryLocation",
            "secondaryLocation",
            "primaryEndpoints",
            "failoverInProgress",
            "accountMigrationInProgress",
            "storageAccountSkuConversionStatus",
            "encryption",
        )
    ),
]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(FIELDS), VALUES), max_size=4))
def test_nothing_that_is_not_so_is_proven(
    account: dict[str, Any], asking: AzureBlobStore, changes: list[tuple[str, Any]]
) -> None:
    """Whatever the management API says in place of the truth, nothing is raised, and what is proven is still true."""
    before = copy.deepcopy(account)
    for path, value in changes:
        with contextlib.suppress(AttributeError, TypeError):
            change(account, path, value)
    proof = asking.prove()
    account.clear()
    account.update(before)
    assert proof.assurance in (P, U, V)
    assert proof.assurance is not P or proof.countries == {"DE"}
