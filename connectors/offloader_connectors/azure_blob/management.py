"""Azure's management API (Azure Resource Manager): read-only questions about one storage account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import requests
from azure.core.exceptions import AzureError
from urllib3.exceptions import HTTPError

from offloader.errors import OffloaderError
from offloader_connectors.azure_blob.client import Clients
from offloader_connectors.azure_blob.options import Arm

#: by endpoint, the cloud as the region tables name it; only there is it Microsoft who answers
CLOUDS: Mapping[str, str] = {
    "https://management.azure.com": "AzurePublic",
    "https://management.usgovcloudapi.net": "AzureUSGovernment",
    "https://management.chinacloudapi.cn": "AzureChina(21Vianet)",
}
#: fields that change without anything about the place changing, or that are none of our business
_PASSING = frozenset(
    {
        "creationTimeOfKeys",
        "etag",
        "keyCreationTime",
        "lastSyncTime",
        "statusOfPrimary",
        "statusOfSecondary",
        "systemData",
        "tags",
    }
)
_LARGEST = 4 << 20


class NoAnswerError(Exception):
    """A question without a usable answer; the text says why, for a person."""


class AbsentError(NoAnswerError):
    """The thing asked for is not there."""


class Management:
    """Asks about the account that the options name."""

    def __init__(self, clients: Clients, arm: Arm) -> None:
        self._clients, self._arm = clients, arm
        self.cloud = CLOUDS.get(arm.endpoint)
        self.account = arm.account or clients.options.account_name
        self.id = (
            f"/subscriptions/{arm.subscription}/resourceGroups/{arm.resource_group}"
            f"/providers/Microsoft.Storage/storageAccounts/{self.account}"
        )
        self._token: str | None = None

    def get(self, resource: str, permission: str, **query: str) -> Mapping[str, Any]:
        """Read one resource by its id, without what changes from call to call. Raises NoAnswerError."""
        timeouts = self._clients.options.timeouts
        try:
            answer = self._clients.arm.get(
                f"{self._arm.endpoint}{resource}",
                params={"api-version": self._arm.api_version, **query},
                headers={"Authorization": f"Bearer {self._login()}"},
                timeout=(timeouts.connect, timeouts.read),
                allow_redirects=False,
                stream=True,
            )
            with answer:
                body = answer.raw.read(_LARGEST + 1, decode_content=True)
        except requests.RequestException as error:
            raise NoAnswerError(f"the management API cannot be reached ({type(error).__name__})") from None
        except (OSError, HTTPError) as error:
            raise NoAnswerError(f"the management API's answer broke off ({type(error).__name__})") from None
        return _understood(answer.status_code, body, permission)

    def _login(self) -> str:
        if self._token is None:
            try:
                self._token = self._clients.arm_token(f"{self._arm.endpoint}/.default")
            except AzureError:
                raise NoAnswerError("nobody can log in to the management API: set arm.token, or log in") from None
            except OffloaderError as error:
                raise NoAnswerError(str(error)) from None
        return self._token


def _understood(status: int, body: bytes, permission: str) -> Mapping[str, Any]:
    if status in (401, 403):
        raise NoAnswerError(
            f"the management API refuses to answer (HTTP {status}): the permission {permission} is missing"
        )
    if status == 404:
        raise AbsentError("the management API knows nothing of that name (HTTP 404)")
    if status != 200:
        raise NoAnswerError(f"the management API does not answer (HTTP {status})")
    try:
        found = json.loads(body) if len(body) <= _LARGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise NoAnswerError("the management API's answer cannot be understood")
    lasting: Mapping[str, Any] = _lasting(found)
    return lasting


def _lasting(value: Any, depth: int = 0) -> Any:
    if depth > 30:
        return None
    if isinstance(value, dict):
        return {name: _lasting(each, depth + 1) for name, each in value.items() if name not in _PASSING}
    if isinstance(value, list):
        return [_lasting(each, depth + 1) for each in value]
    return value


def dig(value: object, *names: str) -> Any:
    """Follow names into an answer; None where it has no such thing."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def text(value: object, *names: str) -> str:
    """As `dig`, for a text; empty where it is none."""
    found = dig(value, *names)
    return found if isinstance(found, str) else ""


def listed(value: object, *names: str) -> list[Any]:
    """As `dig`, for a list. Raises NoAnswerError for anything else."""
    found = dig(value, *names)
    if not isinstance(found, list):
        raise NoAnswerError("the management API's answer lacks what was asked for")
    return found
