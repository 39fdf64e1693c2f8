"""What can be configured, and what is refused before anything is opened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from offloader.plugins import StorePlugin
from offloader_connectors.azure_blob.options import AzureBlobOptions
from offloader_connectors.azure_blob.plugin import STORE

GIVEN = {"account_url": "https://acme.blob.core.windows.net/", "container": "docs"}
ARM = {"subscription": "s", "resource_group": "g"}


def options(**changes: Any) -> AzureBlobOptions:
    return AzureBlobOptions.model_validate({**GIVEN, **changes})


def test_the_account_is_named_by_its_address() -> None:
    """The account's name is the first part of its address, unless it is given."""
    assert options().account_name == "acme"
    assert options().account_url == "https://acme.blob.core.windows.net"
    assert options(account_url="https://acme.z12.blob.storage.azure.net").account_name == "acme"
    assert options(account_url="https://127.0.0.1:10000/acme").account_name == "acme"
    assert options(account_url="https://files.example.com", account="acme").account_name == "acme"


@pytest.mark.parametrize(
    "changes",
    [
        {"account_url": "http://acme.blob.core.windows.net"},
        {"account_url": "http://127.0.0.1:10000/acme"},
        {"account_url": "https://acme-secondary.blob.core.windows.net", "account": "acme"},
        {"account_url": "https://acme.blob.core.windows.net/docs"},
        {"account_url": "https://acme.blob.core.windows.net?sv=1&sig=hidden7"},
        {"account_url": "https://user:hidden7@acme.blob.core.windows.net"},
        {"account_url": "https://127.0.0.1:10000/a/b"},
        {"account_url": "https://my-files.example.com"},
        {"account_url": "acme.blob.core.windows.net"},
        {"container": "Docs"},
        {"container": "do--cs"},
        {"container": "d"},
        {"container": "docs/more"},
        {"container": "$root"},
        {"prefix": "crm"},
        {"prefix": "../crm/"},
        {"prefix": "crm./"},
        {"prefix": "a//"},
        {"prefix": "é/"},
        {"tier": "Archive"},
        {"sas": "sv=2026&sig=hidden7"},
        {"sas": "env:A", "account_key": "env:B"},
        {"connection_string": "env:A", "account_key": "env:B"},
        {"customer_key": "env:A", "encryption_scope": "x"},
        {"encryption_scope": "a/b"},
        {"immutability": {"days": 0}},
        {"immutability": {"days": 1, "mode": "locked"}},
        {"attested_by": "me"},
        {"attested_until": "2026-01-31", "country": "DE"},
        {"attested_by": "me", "attested_until": "2026-01-31"},
        {"country": "Germany"},
        {"region": "West Europe"},
        {"authority": "https://login.microsoftonline.us"},
        {"api_version": "latest"},
        {"arm": {**ARM, "endpoint": "http://management.azure.com"}},
        {"arm": {**ARM, "endpoint": "https://management.azure.com/path"}},
        {"arm": {**ARM, "subscription": "../other"}},
        {"arm": {**ARM, "account": "a?b"}},
        {"arm": {"subscription": "s"}},
        {"block_size": 1},
        {"concurrency": 0},
        {"proof_hours": 0},
        {"unknown": 1},
    ],
)
def test_what_would_go_wrong_later_is_refused_at_once(changes: dict[str, Any]) -> None:
    """Addresses in the clear, strange paths, contradictions and literal secrets are refused, and not repeated."""
    with pytest.raises(ValidationError) as caught:
        options(**changes)
    assert all("hidden7" not in each["msg"] for each in caught.value.errors())


def test_somebodys_word_holds_to_the_end_of_its_last_day() -> None:
    """The last day counts in full, in UTC; a word for ever has an end too."""
    word = {"attested_by": "me", "country": "DE"}
    assert options(**word, attested_until="2026-01-31").attestation_ends == datetime(2026, 2, 1, tzinfo=UTC)
    assert options(**word, attested_until="9999-12-31").attestation_ends == datetime.max.replace(tzinfo=UTC)
    assert options().attestation_ends is None


def test_every_option_is_described() -> None:
    """Each option has a sentence for the reference, but for groups, which have their own."""
    for name, field in STORE.options.model_fields.items():
        assert field.description or name == "timeouts", name


def test_the_plugin_is_of_the_right_kind() -> None:
    """The entry point's value is a store plugin."""
    assert isinstance(STORE, StorePlugin)
    assert STORE.options is AzureBlobOptions
