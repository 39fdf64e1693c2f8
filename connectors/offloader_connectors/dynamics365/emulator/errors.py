"""Errors with the codes and words of the Web API ("Web service error codes")."""

from __future__ import annotations

from typing import Any

STALE = "The version of the existing record doesn't match the RowVersion property provided."


class DataverseError(Exception):
    """One error: HTTP status, code as `0x…` (may be empty), message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message}}


def not_found(table: str, record: str) -> DataverseError:
    return DataverseError(404, "0x80040217", f"Entity '{table}' With Id = {record} Does Not Exist")


def no_segment(segment: str) -> DataverseError:
    """The URL names something that is not there."""
    text = f"Resource not found for the segment '{segment}'."
    return DataverseError(404, "0x8006088a", text)


def stale() -> DataverseError:
    return DataverseError(412, "0x80060882", STALE)


def exists() -> DataverseError:
    return DataverseError(412, "0x80040237", "A record with matching key values already exists.")


def no_property(name: str, table: str) -> DataverseError:
    text = f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table}'."
    return DataverseError(400, "0x80060888", text)


def invalid(message: str) -> DataverseError:
    return DataverseError(400, "0x80040203", message)


def bad_query(message: str) -> DataverseError:
    return DataverseError(400, "0x80060888", message)


def unsupported(message: str) -> DataverseError:
    return DataverseError(405, "0x80040315", message)


def bad_cookie() -> DataverseError:
    return DataverseError(400, "0x8004112a", "Malformed XML in the Paging Cookie")
