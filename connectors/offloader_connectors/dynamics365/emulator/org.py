"""The emulated environment: its rows, its users, its clock. Rights are for `rules` and `query` to check."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from offloader_connectors.dynamics365.emulator import bodies
from offloader_connectors.dynamics365.emulator.errors import not_found
from offloader_connectors.dynamics365.emulator.ids import normal
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.emulator.schema import Column, Schema, Table
from offloader_connectors.dynamics365.emulator.store import Row, Store
from offloader_connectors.dynamics365.emulator.values import convert, moment_of, stamp
from offloader_connectors.dynamics365.emulator.writing import Writer
from offloader_connectors.emulation.blobs import Blob, Blobs, Body

INTEGRATION_USER = "integration@offloader.example"
_ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True)
class MailAttachment:
    """A row of activitymimeattachment, and the attachment that it refers to."""

    id: str
    attachment_id: str


@dataclass(slots=True)
class _Resurrection:
    """A body that a foreign plug-in will put back."""

    calls: int
    table: str
    id: str
    values: Row


class Org:
    """An environment that lives in `directory` and continues from what it holds.

    `options` replaces the environment's options; left out, the directory's own (or the defaults) stand. Rows that are
    handed out must not be changed. Methods raise DataverseError for rows that are not there.
    """

    def __init__(self, directory: Path, *, now: Callable[[], datetime], options: OrgOptions | None = None) -> None:
        self.directory = directory
        self._clock = now
        #: added to the clock, so that a test can let days pass
        self.shift = timedelta()
        #: where it is served, for addresses in answers
        self.url = "https://127.0.0.1"
        self.store = Store(directory)
        self.blobs = Blobs(directory / "blobs")
        self.writer = Writer(self)
        self._resurrections: list[_Resurrection] = []
        self._sha256 = lru_cache(maxsize=65536)(self._digest)
        self.is_new = not self.store.tables[_ORGANIZATION]
        self._options = OrgOptions()
        if self.is_new:
            self._found()
        self._set_options(options or OrgOptions().changed(self.store.meta.get("options", {})))
        self.store.restored = self._after_restore

    def now(self) -> datetime:
        return self._clock() + self.shift

    def moment(self) -> str:
        """The time stamp of a change made now."""
        return stamp(self.now())

    @property
    def root(self) -> str:
        return f"{self.url}/api/data/v9.2/"

    @property
    def schema(self) -> Schema:
        return self.store.schema

    def table(self, name: str) -> Table:
        return self.store.schema.tables[name]

    @property
    def organization_id(self) -> str:
        return next(iter(self.store.tables[_ORGANIZATION]))

    @property
    def integration_user(self) -> str:
        return str(self.store.meta["integration_user"])

    @property
    def settings(self) -> Mapping[str, Any]:
        """The row of the organization: `blockedattachments`, `maxuploadfilesize`, …"""
        return self.store.tables[_ORGANIZATION][self.organization_id]

    @property
    def options(self) -> OrgOptions:
        return self._options

    @options.setter
    def options(self, options: OrgOptions) -> None:
        with self.store.lock:
            self._set_options(options)

    def _set_options(self, options: OrgOptions) -> None:
        self._options = options
        self.store.late_commit = options.late_commit
        self.store.database_order = options.guid_order == "database"
        self.store.set_meta("options", options.as_json())
        tracked = self.table("activitymimeattachment")
        tracked.tracking = options.mail_tracking
        wanted = {
            "blockedattachments": ";".join(options.blocked_extensions),
            "maxuploadfilesize": options.max_upload,
            "expirechangetrackingindays": options.tracking_days,
        }
        if any(self.settings.get(name) != value for name, value in wanted.items()):
            self.update(_ORGANIZATION, self.organization_id, wanted)
        self._configure_bin()

    def _configure_bin(self) -> None:
        """Rows that say which tables have a recycle bin: all or none."""
        rows = list(self.store.tables["recyclebinconfig"])
        if bool(rows) == self.options.recycle_bin:
            return
        with self.store.transaction():
            for key in rows:
                self.store.forget("recyclebinconfig", key)
            for name in self.schema.tables if self.options.recycle_bin else ():
                fields = {"name": name, "isreadyforrecyclebin": True}
                self.insert("recyclebinconfig", {**fields, "cleanupintervalindays": self.options.bin_days})

    def _after_restore(self) -> None:
        self._resurrections.clear()
        self._set_options(OrgOptions().changed(self.store.meta.get("options", {})))

    def restore(self, name: str) -> None:
        """Back to a snapshot. Raises FileNotFoundError."""
        self.store.restore(name)

    def _found(self) -> None:
        """A new environment: itself, its business unit, its team, its integration user, what its tables can do."""
        with self.store.transaction():
            unit = self.store.next_id("businessunit")
            user = self.store.next_id("systemuser")
            self.store.set_meta("integration_user", user)
            name = "Offloader Sandbox"
            self.insert("businessunit", {"name": name}, id=unit)
            currency = self.insert("transactioncurrency", {"currencyname": "Euro", "isocurrencycode": "EUR"})
            self.insert(_ORGANIZATION, {"name": name, "basecurrencyid": currency})
            people = {"firstname": "Integration", "lastname": "User", "domainname": INTEGRATION_USER}
            self.insert(
                "systemuser", {**people, "internalemailaddress": INTEGRATION_USER, "businessunitid": unit}, id=user
            )
            self._assign_roles(user, ("System Administrator",))
            self.insert("team", {"name": name, "isdefault": True, "businessunitid": unit, "administratorid": user})
            self.insert("solution", {"uniquename": "Default", "friendlyname": "Default Solution", "version": "1.0"})
            self.insert("publisher", {"uniquename": "Default", "friendlyname": "Default", "customizationprefix": "new"})
            for table in self.schema.tables.values():
                self.describe(table)

    def describe(self, table: Table) -> None:
        """Rows that say what a table can do: its bulk messages, its image columns."""
        known = {row["name"]: key for key, row in self.store.tables["sdkmessage"].items()}
        for message in ("CreateMultiple", "UpdateMultiple", "UpsertMultiple"):
            if message not in known:
                known[message] = self.insert("sdkmessage", {"name": message})
            if table.multiple and table.writable:
                fields = {"primaryobjecttypecode": table.name, "sdkmessageid": known[message]}
                self.insert("sdkmessagefilter", fields)
        for column in table.columns.values():
            if column.type == "image":
                fields = {"parententitylogicalname": table.name, "attributelogicalname": column.name}
                self.insert("attributeimageconfig", {**fields, "canstorefullimage": column.full})

    # -- rows, in system mode ----------------------------------------------------------------------

    def insert(self, table: str, fields: Mapping[str, Any], *, id: str | None = None) -> str:
        """Insert one row, any column allowed, and return its id. Bodies are bytes, paths or Synthetic."""
        with self.store.transaction():
            values = self._values(self.table(table), fields)
            return self.writer.create(self.table(table), values, self.integration_user, normal(id) if id else None)

    def update(self, table: str, id: str, fields: Mapping[str, Any]) -> None:
        """Change one row, any column allowed."""
        with self.store.transaction():
            key = self._known(table, id)
            self.writer.change(self.table(table), key, self._values(self.table(table), fields), self.integration_user)

    def delete(self, table: str, id: str) -> None:
        """Delete one row and what hangs on it."""
        with self.store.transaction():
            self.writer.remove(self.table(table), self._known(table, id))

    def get(self, table: str, id: str) -> Mapping[str, Any] | None:
        with self.store.lock:
            return self.store.get(table, normal(id) or "")

    def rows(self, table: str) -> Iterator[Mapping[str, Any]]:
        """All rows of a table, oldest first."""
        with self.store.lock:
            rows = list(self.store.tables[table].values())
        return iter(rows)

    def in_bin(self, entry: Mapping[str, Any]) -> bool:
        """Whether a deleted row can still be restored."""
        return "row" in entry and self.now() - moment_of(entry["at"]) <= timedelta(days=self.options.bin_days)

    def undelete(self, table: str, id: str) -> None:
        """Bring a row back from the recycle bin, with everything that was deleted with it."""
        with self.store.transaction():
            self.writer.undelete(self.table(table), normal(id) or "")

    def retain(self, table: str, id: str) -> None:
        """Move a row, with its notes and files, to long-term retention."""
        with self.store.transaction():
            self.writer.retain(self.table(table), self._known(table, id))

    def _known(self, table: str, id: str) -> str:
        key = normal(id)
        if key is None or key not in self.store.tables[table]:
            raise not_found(table, id)
        return key

    def _values(self, table: Table, fields: Mapping[str, Any]) -> Row:
        values: Row = {}
        for name, value in fields.items():
            column = table.columns[name]
            if column.type == "body":
                values[f"_{name}"] = None if value is None else self.body(value)
            elif column.is_lookup:
                values[name] = self._reference(column, value)
            else:
                values[name] = convert(column, value, table.name)
        return values

    def _reference(self, column: Column, value: object) -> tuple[str, str] | None:
        if value is None:
            return None
        if isinstance(value, tuple):
            return str(value[0]), normal(value[1]) or str(value[1])
        key = normal(value)
        tables = [target.table for target in column.targets]
        found = [name for name in tables if len(tables) == 1 or key in self.store.tables[name]]
        if key is None or not found:
            raise not_found(tables[0], str(value))
        return found[0], key

    def body(self, value: Body | Blob) -> Row:
        """Keep a body that came as bytes, a path, computed or already kept."""
        return bodies.body_value(value if isinstance(value, Blob) else self.blobs.put(value))

    # -- bodies ------------------------------------------------------------------------------------

    def chunks(self, ref: Mapping[str, Any] | str) -> Iterator[bytes]:
        """The bytes of a body, in chunks."""
        return self.blobs.chunks(ref if isinstance(ref, str) else ref["ref"])

    def sha256(self, ref: Mapping[str, Any] | str) -> str:
        """SHA-256 of a body in lower-case hex."""
        return self._sha256(ref if isinstance(ref, str) else ref["ref"])

    def _digest(self, ref: str) -> str:
        if not ref.startswith("synthetic-"):
            return ref
        digest = hashlib.sha256()
        for chunk in self.blobs.chunks(ref):
            digest.update(chunk)
        return digest.hexdigest()

    def serve_foreign(self, table: str, id: str, body: Body | None) -> None:
        """From now on a foreign plug-in answers reads of this row's body with other bytes, until the body changes."""
        with self.store.transaction():
            row = dict(self.store.tables[table][self._known(table, id)])
            row.pop("_foreign", None)
            self.store.put(table, row if body is None else {**row, "_foreign": self.body(body)})

    def resurrect(self, table: str, row: Mapping[str, Any]) -> None:
        """If there is a foreign plug-in that does so: remember to put this body back."""
        names = [name for name in ("_documentbody", "_body", "filename", "mimetype") if row.get(name) is not None]
        if self.options.resurrect_after and len(names) > 0 and any(name.startswith("_") for name in names):
            values = {name: row[name] for name in names}
            key = row[self.table(table).key]
            self._resurrections.append(_Resurrection(self.options.resurrect_after, table, key, values))

    def tick(self) -> None:
        """A call came in: what foreign plug-ins put off may be due."""
        for item in list(self._resurrections):
            item.calls -= 1
            if item.calls <= 0:
                self._resurrections.remove(item)
                if item.id in self.store.tables[item.table]:
                    with self.store.transaction():
                        self.writer.change(self.table(item.table), item.id, item.values, self.integration_user)

    # -- seeding -----------------------------------------------------------------------------------

    def add_note(
        self,
        *,
        parent: tuple[str, str] | None,
        file_name: str,
        body: Body,
        mime_type: str | None = None,
        subject: str | None = None,
        text: str | None = None,
        owner: str,
        created: datetime,
    ) -> str:
        """A note with a file; returns its id."""
        fields: Row = {"objectid": parent, "filename": file_name, "documentbody": body, "mimetype": mime_type}
        fields |= {"subject": subject, "notetext": text, "ownerid": owner, "createdon": created, "modifiedon": created}
        return self.insert("annotation", fields)

    def add_mail_attachment(
        self,
        *,
        mail: tuple[str, str],
        file_name: str,
        body: Body | None,
        mime_type: str | None = None,
        attachment: str | None = None,
        content_id: str | None = None,
    ) -> MailAttachment:
        """An attachment of an e-mail (appointment, template); `attachment` shares one that is there."""
        fields: Row = {"objectid": mail, "attachmentcontentid": content_id}
        if attachment is not None:
            fields["attachmentid"] = attachment
        else:
            fields |= {"filename": file_name, "body": body, "mimetype": mime_type}
        row = self.insert("activitymimeattachment", fields)
        return MailAttachment(row, self.store.tables["activitymimeattachment"][row]["attachmentid"][1])

    def set_file(
        self,
        table: str,
        id: str,
        column: str,
        *,
        file_name: str,
        body: Body | Blob,
        mime_type: str | None = None,
        actor: str | None = None,
    ) -> str:
        """Put a file into a file or image column; returns the id of its row in fileattachment."""
        described = self.table(table)
        blob = body if isinstance(body, Blob) else self.blobs.put(body)
        mime = mime_type or bodies.DEFAULT_MIME
        user = actor or self.integration_user
        with self.store.transaction():
            key = self._known(table, id)
            return bodies.set_file(self, described, key, described.columns[column], blob, file_name, mime, user)

    def clear_file(self, table: str, id: str, column: str, *, actor: str | None = None) -> None:
        """Empty a file or image column."""
        described = self.table(table)
        with self.store.transaction():
            key = self._known(table, id)
            bodies.clear_file(self, described, key, described.columns[column], actor or self.integration_user)

    def file_of(self, table: str, id: str, column: str) -> Mapping[str, Any] | None:
        """The row of fileattachment that a column holds; its bytes are under `_body`."""
        return bodies.file_of(self, table, normal(id) or "", self.table(table).columns[column])

    # -- users and sharing -------------------------------------------------------------------------

    def user(
        self,
        *,
        username: str,
        full_name: str = "",
        oid: str | None = None,
        roles: Sequence[str] = (),
        business_unit: str | None = None,
        active: bool = True,
    ) -> str:
        """Make (or change) the user of this name, with exactly these roles; returns the systemuserid."""
        first, _, last = (full_name or username.partition("@")[0]).rpartition(" ")
        fields: Row = {"domainname": username, "internalemailaddress": username, "isdisabled": not active}
        fields |= {"firstname": first or None, "lastname": last}
        if oid is not None:
            fields["azureactivedirectoryobjectid"] = oid
        with self.store.transaction():
            known = [row for row in self.store.tables["systemuser"].values() if row.get("domainname") == username]
            if known:
                user = known[0]["systemuserid"]
                self.update("systemuser", user, fields | ({"businessunitid": business_unit} if business_unit else {}))
            else:
                unit = business_unit or next(iter(self.store.tables["businessunit"]))
                user = self.insert("systemuser", {**fields, "businessunitid": unit})
            self._assign_roles(user, roles)
        return str(user)

    def _assign_roles(self, user: str, roles: Sequence[str]) -> None:
        known = {row["name"] for row in self.store.tables["role"].values()}
        unit = next(iter(self.store.tables["businessunit"]))
        for name in roles:
            if name not in known:
                self.insert("role", {"name": name, "businessunitid": unit})
        row = self.store.tables["systemuser"][user]
        self.store.put("systemuser", {**row, "_roles": list(roles)})

    def share(self, table: str, id: str, user: str, rights: Sequence[str] = ("ReadAccess",)) -> None:
        """Share a row with a user (or team) with exactly these rights; none takes the share back."""
        with self.store.transaction():
            key, principal = self._known(table, id), normal(user) or ""
            for row in self.store.where("principalobjectaccess", "objectid", key):
                if row["principalid"] == principal:
                    self.store.forget("principalobjectaccess", row["principalobjectaccessid"])
            if rights:
                kind = "team" if principal in self.store.tables["team"] else "systemuser"
                fields = {"objectid": key, "objecttypecode": table, "principalid": principal, "principaltypecode": kind}
                entry = self.insert("principalobjectaccess", fields)
                row = self.store.tables["principalobjectaccess"][entry]
                self.store.put("principalobjectaccess", {**row, "_rights": list(rights)})

    def shares(self, id: str) -> Mapping[str, Sequence[str]]:
        """Rights by user or team that a row is shared with."""
        with self.store.lock:
            found = self.store.where("principalobjectaccess", "objectid", normal(id) or "")
            return {row["principalid"]: row["_rights"] for row in found}

    def close(self) -> None:
        self.store.journal.close()
