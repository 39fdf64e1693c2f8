"""The questions of the location proof, one function each: where is the account, who copies it, who can read it?

Redundancy, pairs and failover as in "Azure Storage redundancy" and "Azure storage disaster recovery planning and
failover": after an unplanned failover an account is locally redundant in its former pair, under the same address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from azure.core.exceptions import AzureError

from offloader.errors import OffloaderError
from offloader_connectors import regions
from offloader_connectors.azure_blob.client import Clients
from offloader_connectors.azure_blob.management import AbsentError, Management, NoAnswerError, dig, listed, text
from offloader_connectors.azure_blob.options import AzureBlobOptions
from offloader_connectors.azure_blob.trouble import STUMBLES, answer_of, translate
from offloader_connectors.regions.evidence import Outcome, Question, Result

_ORDER = [*Outcome]
_READ = "Microsoft.Storage/storageAccounts/read"
_GET_INFO = "Microsoft.Storage/storageAccounts/blobServices/getInfo/action"


class Inquiry:
    """What the questions share: whom to ask, and what has come to light so far."""

    def __init__(self, clients: Clients, store: str, *, attested: bool) -> None:
        self.clients, self.options, self.store, self.attested = clients, clients.options, store, attested
        arm = clients.options.arm
        self.management = Management(clients, arm) if arm is not None else None
        #: the redundancy that the blob endpoint names
        self.sku: str | None = None


class Tally:
    """One question's result in the making: the worst of what was added to it."""

    def __init__(self, options: AzureBlobOptions) -> None:
        self._options = options
        self.answer: object = None
        self.places: dict[str, frozenset[str]] = {}
        self._outcome = Outcome.OK
        self._says: list[str] = []

    def add(self, outcome: Outcome, says: str) -> None:
        self._outcome = max(self._outcome, outcome, key=_ORDER.index)
        self._says.append(says)

    def place(self, name: str, role: str) -> None:
        """Count a region among the places; `role` begins the sentence. An unknown name has no country."""
        partition = regions.partition_of("azure", name)
        country = regions.lookup("azure", partition, name) if partition is not None else None
        if country is None:
            self.add(Outcome.UNKNOWN, f"{role} {name!r}, and in which country that is, is not known")
            return
        self.count(name, country, role)

    def count(self, name: str, country: str, role: str) -> None:
        self.places[name] = frozenset({country})
        expected = self._options.country
        if expected is not None and country != expected:
            self.add(Outcome.VIOLATION, f"{role} {name} ({country}), outside of {expected}")

    def result(self, otherwise: str) -> Result:
        """`otherwise` is what it says when nothing was added."""
        says = "; ".join(self._says) or otherwise
        return Result(outcome=self._outcome, says=says, places=self.places, answer=self.answer)

    @contextmanager
    def answering(self, store: str) -> Iterator[None]:
        """Whatever goes wrong in the block, or is hostile in an answer, leaves the question open."""
        try:
            yield
        except NoAnswerError as error:
            self.add(Outcome.UNKNOWN, str(error))
        except AzureError as error:
            self.add(Outcome.UNKNOWN, str(translate(error, store, "ask about", "the place")))
        except OffloaderError as error:
            self.add(Outcome.UNKNOWN, str(error))
        except STUMBLES as error:
            self.add(Outcome.UNKNOWN, f"the answer cannot be understood ({type(error).__name__})")


def settings(inquiry: Inquiry, tally: Tally) -> str:
    options = inquiry.options
    tally.answer = {
        "account_url": options.account_url,
        "arm": options.arm.endpoint if options.arm else None,
        "container": options.container,
        "country": options.country,
        "prefix": options.prefix,
        "region": options.region,
    }
    said = f"the store is the container {options.container} of {options.account_url}"
    if options.arm is not None or options.country is None:
        return said
    if not inquiry.attested:
        tally.add(Outcome.ABSENT, f"{said}; nobody attests today where that is")
        return said
    if options.region is None:
        tally.places["attested"] = frozenset({options.country})
    else:
        tally.place(options.region, "the region is")
    return f"{said}; {options.attested_by} attests until {options.attested_until} that it is in {options.country}"


def attestation(inquiry: Inquiry, tally: Tally) -> str:
    """Kept apart, so that a person's word that is renewed is no change of the place."""
    options = inquiry.options
    tally.answer = {"by": options.attested_by, "country": options.country, "until": str(options.attested_until)}
    if options.attested_by is None:
        tally.add(Outcome.SKIPPED, "nobody attests anything (attested_by, attested_until)")
    elif not inquiry.attested:
        tally.add(
            Outcome.UNKNOWN,
            f"the attestation of {options.attested_by} ran out at the end of {options.attested_until}: "
            "have it confirmed again",
        )
    return f"{options.attested_by} vouches until {options.attested_until} for what is not proven"


def redundancy(inquiry: Inquiry, tally: Tally) -> str:
    """What the blob endpoint itself says ("Get Account Information"); it does not know where it is."""
    try:
        answer = inquiry.clients.service.get_account_information()
    except AzureError as error:
        refused = answer_of(error)
        if refused is None or refused.status not in (401, 403):
            raise
        missing = f"the blob endpoint does not tell its redundancy: the permission {_GET_INFO} is missing"
        tally.add(Outcome.UNKNOWN if inquiry.management is None else Outcome.NOTE, missing)
        return missing
    names = ("sku_name", "account_kind", "is_hns_enabled")
    tally.answer = {name: str(answer.get(name)) for name in names}
    if answer.get("is_hns_enabled"):
        tally.add(Outcome.NOTE, "the account has a hierarchical namespace, whose lists the store cannot compare")
    name = inquiry.sku = str(answer.get("sku_name"))
    sku = regions.sku(name)
    if sku is None:
        tally.add(Outcome.UNKNOWN, f"where an account of redundancy {name[:64]!r} has copies is not known")
    elif sku.leaves_region and inquiry.management is None:
        _pair(inquiry, tally, name, None)
    return f"the blob endpoint says {name}"


def _pair(inquiry: Inquiry, tally: Tally, sku: str, secondary: str | None) -> None:
    """Count the pair of a geo-redundant account among the places: as Azure names it, else as the table does."""
    region = inquiry.options.region
    if secondary is None and region is not None:
        found = regions.region("azure", regions.partition_of("azure", region) or "", region)
        secondary = found.pair if found is not None else None
    if secondary is None:
        tally.add(
            Outcome.UNKNOWN, f"an account of redundancy {sku} has copies in a second region, and which is not known"
        )
        return
    tally.place(secondary, f"an account of redundancy {sku} has copies in")


def account(inquiry: Inquiry, tally: Tally) -> str:
    """What the management API says of the account ("Storage Accounts - Get Properties")."""
    asked = inquiry.management
    if asked is None:
        unknown = "the management API is not configured: only a person can say where the account is"
        tally.add(Outcome.ABSENT, unknown)
        return unknown
    found = tally.answer = asked.get(asked.id, _READ, **{"$expand": "geoReplicationStats"})
    if asked.cloud is None:
        tally.add(
            Outcome.ABSENT, "the management API is not one of Microsoft's own: its answers rest on the attestation"
        )
    _same_account(inquiry, tally, found)
    primary = _region(text(found, "properties", "primaryLocation") or text(found, "location"))
    _where(inquiry, tally, found, primary)
    skus = _redundancies(inquiry, tally, found)
    secondary = _region(text(found, "properties", "secondaryLocation"))
    leaving = [name for name in skus if (sku := regions.sku(name)) is None or sku.leaves_region]
    if leaving or secondary:
        known = secondary or _table_pair(primary)
        _pair(inquiry, tally, (leaving or skus or ["unknown"])[0], known or None)
    _moving(tally, found)
    return f"the management API says that the account is in {primary} and is {' and '.join(skus)}"


def _same_account(inquiry: Inquiry, tally: Tally, found: Mapping[str, Any]) -> None:
    """The account that is described must be the one that is written to."""
    endpoints = dig(found, "properties", "primaryEndpoints")
    sets = [endpoints, dig(endpoints, "microsoftEndpoints"), dig(endpoints, "internetEndpoints")]
    known = {text(each, "blob").rstrip("/").lower() for each in sets}
    if domain := text(found, "properties", "customDomain", "name"):
        known.add(f"https://{domain}".lower())
    if inquiry.options.account_url.lower() not in known:
        tally.add(Outcome.UNKNOWN, "the management API describes an account with another address than account_url")


def _where(inquiry: Inquiry, tally: Tally, found: Mapping[str, Any], primary: str) -> None:
    wanted, made = inquiry.options.region, _region(text(found, "location"))
    if wanted is not None and primary != wanted:
        tally.add(Outcome.VIOLATION, f"the account is in {primary or 'no known region'}, not in {wanted} as configured")
    tally.place(primary, "the account is in")
    cloud = inquiry.management.cloud if inquiry.management else None
    partition = regions.partition_of("azure", primary)
    if cloud is not None and partition is not None and partition != cloud:
        tally.add(Outcome.UNKNOWN, f"{primary} is not a region of the cloud that was asked ({cloud})")
    if made and made != primary:
        tally.place(made, "the account was made in")
        tally.add(Outcome.NOTE, f"the account has failed over from {made} to {primary}")
    if dig(found, "extendedLocation") is not None:
        tally.add(Outcome.UNKNOWN, "the account is in an edge zone, which is outside of its region")


def _redundancies(inquiry: Inquiry, tally: Tally, found: Mapping[str, Any]) -> list[str]:
    """The redundancy now, and the one that it is being changed to."""
    name = text(found, "sku", "name")
    names = [name]
    if inquiry.sku is not None and inquiry.sku != name:
        tally.add(Outcome.UNKNOWN, f"the blob endpoint says {inquiry.sku}, the management API {name or 'nothing'}")
    conversion = dig(found, "properties", "storageAccountSkuConversionStatus")
    if text(conversion, "skuConversionStatus") == "InProgress":
        names.append(text(conversion, "targetSkuName"))
        tally.add(Outcome.NOTE, f"the redundancy is being changed to {names[-1] or 'something unknown'}")
    for each in names:
        if regions.sku(each) is None:
            tally.add(Outcome.UNKNOWN, f"where an account of redundancy {each[:64]!r} has copies is not known")
    return names


def _moving(tally: Tally, found: Mapping[str, Any]) -> None:
    for field, what in (("failoverInProgress", "failing over"), ("accountMigrationInProgress", "being migrated")):
        if dig(found, "properties", field) not in (None, False):
            tally.add(Outcome.UNKNOWN, f"the account is {what} just now")
    if dig(found, "properties", "lastGeoFailoverTime") is not None:
        tally.add(Outcome.NOTE, "the account has failed over before")
    if text(found, "properties", "encryption", "keySource") == "Microsoft.Keyvault":
        vault = text(found, "properties", "encryption", "keyvaultproperties", "keyvaulturi")
        tally.add(Outcome.NOTE, f"its key is in the vault {vault[:128]}, whose place is not part of this proof")
    if dig(found, "properties", "allowCrossTenantReplication") is not False:
        tally.add(
            Outcome.NOTE, "replication to other tenants is not forbidden: set allowCrossTenantReplication to false"
        )


def replication(inquiry: Inquiry, tally: Tally) -> str:
    """Rules that copy blobs to other accounts ("Object Replication Policies - List"), those of backups too."""
    asked = inquiry.management
    if asked is None:
        unknown = "whether blobs are copied to other accounts cannot be seen without the management API"
        tally.add(Outcome.ABSENT, unknown)
        return unknown
    found = tally.answer = asked.get(
        f"{asked.id}/objectReplicationPolicies", "Microsoft.Storage/storageAccounts/objectReplicationPolicies/read"
    )
    for policy in listed(found, "value"):
        if _is_ours(text(policy, "properties", "sourceAccount"), asked):
            _copies(inquiry, tally, asked, policy)
    return "no rule copies blobs to other accounts"


def _is_ours(named: str, asked: Management) -> bool:
    """Accounts are named by their resource id, or by their bare name; nothing at all may be ours."""
    return named.lower() in ("", asked.id.lower(), asked.account.lower())


def _copies(inquiry: Inquiry, tally: Tally, asked: Management, policy: object) -> None:
    containers = {text(rule, "sourceContainer") for rule in listed(policy, "properties", "rules")}
    if containers and not containers & {"", inquiry.options.container}:
        tally.add(Outcome.NOTE, "a rule copies blobs of another container")
        return
    destination = text(policy, "properties", "destinationAccount")
    if not destination.startswith("/subscriptions/"):
        tally.add(
            Outcome.UNKNOWN,
            f"a rule copies blobs to {destination[:128] or 'another account'}, whose place is not known",
        )
        return
    try:
        other = asked.get(destination, _READ)
    except NoAnswerError as error:
        tally.add(Outcome.UNKNOWN, f"a rule copies blobs to {destination[-64:]}, whose place is not known: {error}")
        return
    name = destination.rpartition("/")[2]
    place = _region(text(other, "properties", "primaryLocation") or text(other, "location"))
    tally.add(Outcome.NOTE, f"a rule copies blobs to the account {name}")
    tally.place(place, f"blobs are copied to {name} in")
    sku = text(other, "sku", "name")
    known = regions.sku(sku)
    if known is None or known.leaves_region:
        pair = _region(text(other, "properties", "secondaryLocation")) or _table_pair(place)
        tally.place(pair, f"blobs are copied by {name} ({sku}) to")


def container(inquiry: Inquiry, tally: Tally) -> str:
    """Whether the world can read the container ("Get Container Properties"), and what protects it."""
    found = inquiry.clients.container.get_container_properties()
    access = found.public_access
    tally.answer = {
        "encryption_scope": str(found.encryption_scope),
        "has_immutability_policy": bool(found.has_immutability_policy),
        "has_legal_hold": bool(found.has_legal_hold),
        "immutable_storage_with_versioning_enabled": bool(found.immutable_storage_with_versioning_enabled),
        "public_access": str(getattr(access, "value", access)),
    }
    if access is not None:
        tally.add(Outcome.VIOLATION, "the world can read the container: set its public access to private")
    if inquiry.options.immutability is not None and not found.immutable_storage_with_versioning_enabled:
        tally.add(Outcome.NOTE, "the container has no version-level immutability, which the options ask for")
    return "nobody reads the container without a login"


def lifecycle(inquiry: Inquiry, tally: Tally) -> str:
    """Rules that delete or move blobs without being asked ("Management Policies - Get")."""
    asked = inquiry.management
    if asked is None:
        tally.add(Outcome.ABSENT, "whether rules delete blobs cannot be seen without the management API")
        return ""
    try:
        found = asked.get(
            f"{asked.id}/managementPolicies/default", "Microsoft.Storage/storageAccounts/managementPolicies/read"
        )
    except AbsentError:
        return "no rule deletes or moves blobs"
    tally.answer = found
    for rule in listed(found, "properties", "policy", "rules"):
        actions = dig(rule, "definition", "actions", "baseBlob")
        if dig(rule, "enabled") is False or not _concerns(inquiry.options, rule) or not isinstance(actions, Mapping):
            continue
        name = text(rule, "name")[:64]
        if "delete" in actions:
            tally.add(Outcome.VIOLATION, f"the rule {name!r} deletes documents without being asked: take it away")
        if "tierToArchive" in actions:
            tally.add(Outcome.NOTE, f"the rule {name!r} moves documents to the archive tier, where links do not open")
    return "no rule deletes documents"


def _concerns(options: AzureBlobOptions, rule: object) -> bool:
    """Whether a rule can meet the store's blobs; its prefixes begin with the container's name."""
    prefixes = dig(rule, "definition", "filters", "prefixMatch")
    place = f"{options.container}/{options.prefix}"
    if not isinstance(prefixes, list) or not prefixes:
        return True
    return any(not isinstance(each, str) or each.startswith(place) or place.startswith(each) for each in prefixes)


def service(inquiry: Inquiry, tally: Tally) -> str:
    """How long removed blobs stay ("Blob Services - Get Service Properties")."""
    asked = inquiry.management
    if asked is None:
        tally.add(Outcome.ABSENT, "versioning and soft delete cannot be seen without the management API")
        return ""
    found = tally.answer = asked.get(
        f"{asked.id}/blobServices/default", "Microsoft.Storage/storageAccounts/blobServices/read"
    )
    for field, what in (("deleteRetentionPolicy", "blobs"), ("containerDeleteRetentionPolicy", "containers")):
        if dig(found, "properties", field, "enabled") is True:
            days = dig(found, "properties", field, "days")
            tally.add(
                Outcome.NOTE, f"removed {what} stay for {days} days (soft delete): an erasure is complete only then"
            )
    if dig(found, "properties", "isVersioningEnabled") is True:
        tally.add(Outcome.NOTE, "versions are kept; deleting a document deletes all of them")
    return "removed blobs are gone at once"


def _region(name: str) -> str:
    """The programmatic name; some answers have the one for display ("West Europe")."""
    return name.replace(" ", "").lower()


def _table_pair(region: str) -> str:
    found = regions.region("azure", regions.partition_of("azure", region) or "", region)
    return (found.pair if found is not None else None) or ""


PROBES: Mapping[str, Callable[[Inquiry, Tally], str]] = {
    "settings": settings,
    "redundancy": redundancy,
    "account": account,
    "replication": replication,
    "container": container,
    "lifecycle": lifecycle,
    "service": service,
    "attestation": attestation,
}
#: without an answer to these nothing is proven
REQUIRED = ("settings", "redundancy", "account", "replication", "container")
_ARM = "Set arm, so that the management API is asked; or have somebody vouch (region, country, attested_by)."
QUESTIONS: Mapping[str, Question] = {
    "settings": Question(asks="Which place is meant?", remedy=_ARM),
    "redundancy": Question(
        asks="Does the account itself copy to another region?",
        permissions=(_GET_INFO,),
        remedy="If no copy may be in the paired region, change the account's redundancy to LRS or ZRS.",
    ),
    "account": Question(
        asks="Where is the account, and was it ever anywhere else?",
        permissions=(_READ,),
        remedy=f"If a place is wrong, move the documents to an account in the right one. {_ARM}",
    ),
    "replication": Question(
        asks="Are documents copied to other accounts, and where are those?",
        permissions=("Microsoft.Storage/storageAccounts/objectReplicationPolicies/read", _READ),
        remedy=f"If documents must not be there, remove the replication rule, and delete what it has copied. {_ARM}",
    ),
    "container": Question(
        asks="Can anybody at all read documents?",
        permissions=("Microsoft.Storage/storageAccounts/blobServices/containers/read",),
        remedy="Forbid anonymous access, of the container and of the account.",
        watched=False,
    ),
    "lifecycle": Question(
        asks="Does the account delete or archive documents by itself?",
        permissions=("Microsoft.Storage/storageAccounts/managementPolicies/read",),
        remedy="Leave the store's container and prefix out of the rule: documents end only by a plan.",
        watched=False,
    ),
    "service": Question(
        asks="How long do removed documents stay?",
        permissions=("Microsoft.Storage/storageAccounts/blobServices/read",),
        remedy="Nothing has to be done, unless removed documents must be gone sooner.",
        watched=False,
    ),
    "attestation": Question(
        asks="Who vouches for what is not proven?",
        remedy="Have the place confirmed again, and set attested_until.",
        watched=False,
    ),
}
#: what the probes need, all of it reading
PERMISSIONS = tuple(sorted({action for each in QUESTIONS.values() for action in each.permissions}))
