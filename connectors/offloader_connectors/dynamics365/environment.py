"""Facts about the environment, each read when it is first needed, in as few requests as it takes.

Web API guide, "Query table definitions using the Web API": definitions come in one answer, unpaged.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from offloader.errors import Permanent
from offloader_connectors.dynamics365 import odata, rows
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.rows import Row

_TABLE = (
    "LogicalName",
    "EntitySetName",
    "PrimaryIdAttribute",
    "PrimaryNameAttribute",
    "HasNotes",
    "ChangeTrackingEnabled",
    "IsOptimisticConcurrencyEnabled",
)
_SETTINGS = ("organizationid", "blockedattachments", "maxuploadfilesize")
#: of Base64 text, in bytes, where the environment does not say (table reference, organization)
DEFAULT_UPLOAD = 5_242_880
#: types of attributes that lead to a record
_LOOKUPS = frozenset({"Lookup", "Customer", "Owner"})
#: types of attributes whose label says more than their number
_CHOICES = frozenset({"Picklist", "State", "Status", "Boolean"})
_FILES = "Microsoft.Dynamics.CRM.FileAttributeMetadata?$select=LogicalName,MaxSizeInKB"
_IMAGES = "Microsoft.Dynamics.CRM.ImageAttributeMetadata?$select=LogicalName,MaxSizeInKB,CanStoreFullImage"


@dataclass(frozen=True, slots=True)
class Table:
    """A table's definition."""

    logical_name: str
    set_name: str
    primary_id: str
    primary_name: str
    has_notes: bool = False
    change_tracking: bool = False
    optimistic: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the whole environment."""

    organization_id: str
    #: file name extensions in lower case, without dots
    blocked_extensions: frozenset[str]
    #: most bytes of a file's Base64 text
    max_upload: int


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column that holds files. `full`: a file, or an image in its full size; else only a thumbnail is kept."""

    kind: Literal["file", "image"]
    full: bool
    #: most bytes of a file, where the environment says it
    largest: int | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are."""

    user_id: str


class Environment:
    """Cached facts. Thread-safe; answers are kept for the life of the source."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._lock = threading.RLock()
        self._tables: Mapping[str, Table] | None = None
        self._settings: Settings | None = None
        self._identity: Identity | None = None
        self._file_columns: dict[str, Mapping[str, FileColumn]] = {}
        self._attributes: dict[str, Mapping[str, str]] = {}

    def table(self, name: str) -> Table:
        """A table's definition. Raises Permanent if there is none of this name."""
        found = self.tables().get(name)
        if found is None:
            raise Permanent(f"the environment has no table {name[:80]!a}, or does not show it")
        return found

    def tables(self) -> Mapping[str, Table]:
        """All tables that the application user may see, by logical name."""
        with self._lock:
            if self._tables is None:
                answer = self.api.get("metadata", f"EntityDefinitions?$select={','.join(_TABLE)}")
                found = (_table(row) for row in answer.rows())
                self._tables = {each.logical_name: each for each in found if each is not None}
            return self._tables

    def settings(self) -> Settings:
        """Raises Permanent if the environment does not show its settings."""
        with self._lock:
            if self._settings is None:
                found = self.api.get("list.organization", odata.select("organizations", _SETTINGS)).rows()
                if len(found) != 1:
                    raise Permanent("the environment does not show its settings (table organization)")
                self._settings = _read_settings(found[0])
            return self._settings

    def identity(self) -> Identity:
        """Our user."""
        with self._lock:
            if self._identity is None:
                answer = self.api.get("whoami", "WhoAmI").record()
                self._identity = Identity(rows.guid(answer, "UserId", "whoami"))
            return self._identity

    def file_columns(self, tables: Iterable[str]) -> Mapping[str, Mapping[str, FileColumn]]:
        """File and image columns of these tables, by table and column; a table that is not shown has none.

        One request for all tables that are new.
        """
        wanted = odata.unique(tables)
        with self._lock:
            new = [each for each in wanted if each not in self._file_columns]
            parts = [_metadata(each, cast) for each in new for cast in (_FILES, _IMAGES)]
            answers = self._asked(parts)
            for number, each in enumerate(new):
                files, images = (_listed(answer) for answer in answers[2 * number : 2 * number + 2])
                self._file_columns[each] = {
                    **{rows.text(row, "LogicalName", "metadata"): _file_column(row) for row in files},
                    **{rows.text(row, "LogicalName", "metadata"): _image_column(row) for row in images},
                }
            return {each: self._file_columns[each] for each in wanted}

    def attributes(self, tables: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        """Types of all columns of these tables, by table and column; a table that is not shown has none."""
        wanted = odata.unique(tables)
        with self._lock:
            new = [each for each in wanted if each not in self._attributes]
            parts = [_metadata(each, "?$select=LogicalName,AttributeType") for each in new]
            for each, answer in zip(new, self._asked(parts), strict=True):
                self._attributes[each] = {
                    rows.text(row, "LogicalName", "metadata"): rows.optional(row, "AttributeType") or ""
                    for row in _listed(answer)
                }
            return {each: self._attributes[each] for each in wanted}

    def _asked(self, parts: Sequence[Part]) -> list[Answer]:
        return [answer for some in odata.chunks(parts, 100) for answer in self.api.batch("batch", some)]


def is_lookup(type_name: str) -> bool:
    """Whether a column of this type leads to a record."""
    return type_name in _LOOKUPS


def is_choice(type_name: str) -> bool:
    """Whether a column of this type holds numbers that stand for labels."""
    return type_name in _CHOICES


def _metadata(table: str, rest: str) -> Part:
    slash = "" if rest.startswith("?") else "/"
    path = f"EntityDefinitions(LogicalName='{odata.name(table)}')/Attributes{slash}{rest}"
    return Part("GET", path, operation="metadata")


def _listed(answer: Answer) -> list[Row]:
    """The rows of a list, none of a table that is not there."""
    return [] if answer.status == 404 else answer.require().rows()


def _table(row: Row) -> Table | None:
    """A table that can be listed; some of the platform's own have no set."""
    names = [rows.optional(row, name) for name in _TABLE[:4]]
    if not all(name is None or odata.is_name(name) for name in names):
        return None
    logical_name, set_name, primary_id, primary_name = names
    if not (logical_name and set_name and primary_id):
        return None
    flags = (rows.flag(row, name) for name in _TABLE[4:])
    return Table(logical_name, set_name, primary_id, primary_name or "", *flags)


def _read_settings(row: Row) -> Settings:
    blocked = (rows.optional(row, "blockedattachments") or "").lower()
    extensions = frozenset(each.strip().lstrip(".") for each in blocked.split(";"))
    largest = rows.size(row, "maxuploadfilesize")
    return Settings(rows.guid(row, "organizationid", "list.organization"), extensions - {""}, largest or DEFAULT_UPLOAD)


def _largest(row: Row) -> int | None:
    kilobytes = rows.integer(row, "MaxSizeInKB")
    return kilobytes * 1024 if kilobytes is not None and kilobytes > 0 else None


def _file_column(row: Row) -> FileColumn:
    return FileColumn("file", full=True, largest=_largest(row))


def _image_column(row: Row) -> FileColumn:
    return FileColumn("image", full=rows.flag(row, "CanStoreFullImage"), largest=_largest(row))
