"""Options of the Dynamics 365 source."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from offloader_connectors.dynamics365.options import DynamicsOptions

GOOD = {"url": "https://acme.crm4.dynamics.com", "client_id": "x", "client_secret": "env:SECRET"}


def test_the_shortest_configuration() -> None:
    """Address, application and secret are enough; a final slash does not matter."""
    options = DynamicsOptions.model_validate({**GOOD, "url": "https://acme.crm4.dynamics.com/"})

    assert options.url == "https://acme.crm4.dynamics.com"
    assert options.login_url == "https://login.microsoftonline.com"
    assert "template" not in options.parents
    assert "adx_webfile" not in options.parents


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://acme.crm4.dynamics.com"},
        {"url": "acme.crm4.dynamics.com"},
        {"url": "https://acme.crm4.dynamics.com/main.aspx"},
        {"url": "https://acme.crm4.dynamics.com?x=1"},
        {"url": "https://user@acme.crm4.dynamics.com"},
        {"login_url": "http://login.example"},
        {"client_secret": "a literal secret"},
        {"client_secret": None},
        {"certificate": "file:cert.pem"},
        {"tenant": "a/b"},
        {"kinds": []},
        {"kinds": ["Attachment"]},
        {"parents": []},
        {"page_size": 5001},
        {"link_batch": 1001},
        {"concurrency": 0},
        {"budget": {"daily_requests": 0}},
        {"unknown": 1},
    ],
)
def test_what_is_refused(wrong: dict[str, Any]) -> None:
    """Unsafe addresses, literal secrets, two or no credentials, values out of range and unknown keys are errors."""
    with pytest.raises(ValidationError):
        DynamicsOptions.model_validate({**GOOD, **wrong})
