"""Options of the source."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from offloader_connectors.salesforce.options import Budget, SalesforceOptions, Timeouts
from offloader_connectors.salesforce.plugin import SOURCE
from offloader_connectors.salesforce.signals import merged

GOOD: dict[str, Any] = {
    "login_url": "https://acme.my.salesforce.com/",
    "client_id": "key",
    "client_secret": "env:SF_SECRET",
}


def test_defaults() -> None:
    """Address, app and secret are enough."""
    options = SalesforceOptions.model_validate(GOOD)

    assert options.login_url == "https://acme.my.salesforce.com"
    assert options.kinds == ("ContentDocument", "Attachment")


@pytest.mark.parametrize(
    "change",
    [
        {"login_url": "http://acme.my.salesforce.com"},
        {"login_url": "https://acme.my.salesforce.com/services"},
        {"login_url": "https://user@acme.my.salesforce.com"},
        {"client_secret": "a literal secret"},
        {"client_secret": None},
        {"private_key": "file:key.pem"},
        {"client_secret": None, "private_key": "file:key.pem"},
        {"kinds": ["Document"]},
        {"kinds": []},
        {"api_version": "40.0"},
        {"api_version": "66.0/../"},
        {"external_id_field": "Key"},
        {"external_id_field": "A__c, Id"},
        {"page_size": 5000},
        {"page_size": 0},
        {"unknown": 1},
        {"budget": {"leave": 1}},
    ],
)
def test_refused(change: dict[str, Any]) -> None:
    """What cannot work is refused when the configuration is read."""
    with pytest.raises(ValidationError):
        SalesforceOptions.model_validate(GOOD | change)


def test_every_option_is_documented() -> None:
    """Each option, nested ones too, has a help sentence."""
    models: list[type[BaseModel]] = [SOURCE.options, Budget, Timeouts]
    for model in models:
        for name, field in model.model_fields.items():
            assert field.description, name


def test_signals_are_merged_over_defaults() -> None:
    """A configured signal replaces the default of that name and leaves the others."""
    signals = merged(
        {"Account": {"country": "Land__c", "category": ("A__c", "B__c")}, "Haus__c": {"country": "Land__c"}}
    )

    assert signals["Account"] == {"country": ("Land__c",), "category": ("A__c", "B__c")}
    assert signals["Haus__c"] == {"country": ("Land__c",)}
    assert signals["Case"]["country"][0] == "Account.BillingCountryCode"
