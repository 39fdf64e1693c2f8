"""An emulated management API: one storage account, described as "Storage Accounts - Get Properties" does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from offloader_connectors.azure_blob.testparts.serving import Handler, Server

SUBSCRIPTION = "00000000-0000-4000-8000-000000000001"
GROUP = "sandbox"


def account_path(account: str) -> str:
    """The account's resource id."""
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Storage/storageAccounts/{account}"


def described(account: str, blob_endpoint: str, location: str, sku: str) -> dict[str, Any]:
    """An account that stands where it was made, not failed over and not migrating."""
    return {
        "id": account_path(account),
        "name": account,
        "type": "Microsoft.Storage/storageAccounts",
        "location": location,
        "kind": "StorageV2",
        "sku": {"name": sku, "tier": "Standard"},
        "tags": {},
        "properties": {
            "provisioningState": "Succeeded",
            "creationTime": "2026-01-05T09:00:00.0000000Z",
            "primaryLocation": location,
            "statusOfPrimary": "available",
            "primaryEndpoints": {"blob": f"{blob_endpoint}/"},
            "supportsHttpsTrafficOnly": True,
            "minimumTlsVersion": "TLS1_2",
            "allowBlobPublicAccess": False,
            "allowCrossTenantReplication": False,
            "encryption": {"keySource": "Microsoft.Storage", "services": {"blob": {"enabled": True}}},
        },
    }


class Arm:
    """Serves until `close`. `answers` maps paths to (status, JSON) and may be changed at any time."""

    def __init__(self, certificate: Path, token: str) -> None:
        self.token = token
        self.answers: dict[str, tuple[int, Any]] = {}
        self.requests: list[str] = []
        self._server = Server(type("_Bound", (_Answering,), {"arm": self}), certificate)
        self.url = self._server.url

    def add(self, account: str, blob_endpoint: str, location: str, sku: str = "Standard_LRS") -> dict[str, Any]:
        """Add an account without replication or lifecycle rules; return its description, to be changed in place."""
        path = account_path(account)
        description = described(account, blob_endpoint, location, sku)
        self.answers[path] = (200, description)
        self.answers[f"{path}/objectReplicationPolicies"] = (200, {"value": []})
        self.answers[f"{path}/blobServices/default"] = (200, {"properties": {"isVersioningEnabled": False}})
        self.answers[f"{path}/managementPolicies/default"] = (404, _error("ManagementPolicyNotFound"))
        return description

    def close(self) -> None:
        self._server.close()


class _Answering(Handler):
    arm: Arm

    def do_GET(self) -> None:  # noqa: N802  named by the standard library
        parts = urlsplit(self.path)
        status: int
        answer: Any
        self.arm.requests.append(parts.path)
        if self.headers.get("Authorization") != f"Bearer {self.arm.token}":
            status, answer = 401, _error("AuthenticationFailed")
        elif "api-version" not in parse_qs(parts.query):
            status, answer = 400, _error("MissingApiVersionParameter")
        else:
            status, answer = self.arm.answers.get(parts.path, (404, _error("ResourceNotFound")))
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _error(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": code}}
