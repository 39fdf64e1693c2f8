"""Errors with the codes and words of the REST API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: errors of one record that the single-record resources answer with 404
_MISSING = {"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "NOT_FOUND"}


class SalesforceError(Exception):
    """One error: top-level as `errorCode`, in the results of a collection as `statusCode`."""

    def __init__(self, code: str, message: str, fields: Sequence[str] | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = fields
        self.status = status or (404 if code in _MISSING else 400)

    def top_level(self) -> list[dict[str, Any]]:
        error: dict[str, Any] = {"message": self.message, "errorCode": self.code}
        if self.fields is not None:
            error["fields"] = list(self.fields)
        return [error]

    def item(self) -> dict[str, Any]:
        error = {"statusCode": self.code, "message": self.message, "fields": list(self.fields or ())}
        return {"success": False, "errors": [error]}


def not_found() -> SalesforceError:
    return SalesforceError("NOT_FOUND", "The requested resource does not exist", status=404)


def deleted() -> SalesforceError:
    return SalesforceError("ENTITY_IS_DELETED", "entity is deleted", [])


def bad_reference(fields: Sequence[str] = ()) -> SalesforceError:
    status = 400 if fields else 404
    return SalesforceError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", fields, status)


def read_only() -> SalesforceError:
    return SalesforceError("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id", [])


def no_reference_access(fields: Sequence[str] = ()) -> SalesforceError:
    return SalesforceError(
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "insufficient access rights on cross-reference id", fields
    )


def unwritable(names: Sequence[str]) -> SalesforceError:
    text = (
        f"Unable to create/update fields: {', '.join(names)}. Please check the security settings of this field and "
        "verify that it is read/write for your profile or permission set."
    )
    return SalesforceError("INVALID_FIELD_FOR_INSERT_UPDATE", text, list(names))


def no_such_field(name: str, kind: str) -> SalesforceError:
    return SalesforceError("INVALID_FIELD", f"No such column '{name}' on sobject of type {kind}", [])


def bad_id(label: str, value: object, field: str) -> SalesforceError:
    return SalesforceError("MALFORMED_ID", f"{label}: id value of incorrect type: {value}", [field])


def integrity(message: str, fields: Sequence[str] = ()) -> SalesforceError:
    return SalesforceError("FIELD_INTEGRITY_EXCEPTION", message, fields)
