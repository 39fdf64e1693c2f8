"""What a configuration of the Dynamics 365 source may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from offloader_connectors.dynamics365.options import DynamicsOptions

GOOD: dict[str, Any] = {"url": "https://acme.crm4.dynamics.com", "client_id": "c", "client_secret": "env:S"}


def test_an_environment_and_a_secret_are_enough() -> None:
    """The address loses its last slash; everything else has a default."""
    options = DynamicsOptions.model_validate({**GOOD, "url": "https://acme.crm4.dynamics.com/"})
    assert options.url == "https://acme.crm4.dynamics.com"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://acme.crm4.dynamics.com"},
        {"url": "https://acme.crm4.dynamics.com/api"},
        {"url": "https://me@acme.crm4.dynamics.com"},
        {"login_url": "https://login.example.com/tenant"},
        {"certificate": "file:cert.pem"},
        {"client_secret": None},
        {"tenant": "a/b"},
        {"link_columns": {"new_dossier": "new_link"}},
        {"link_columns": {"account.new_dossier": "new link"}},
        {"link_columns": {"account.new_dossier.more": "new_link"}},
        {"page_size": 5001},
        {"link_batch": 1001},
        {"kinds": []},
        {"kinds": ["email"]},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    """A wrong option is an error before any call is made."""
    with pytest.raises(ValidationError):
        DynamicsOptions.model_validate({**GOOD, **wrong})
