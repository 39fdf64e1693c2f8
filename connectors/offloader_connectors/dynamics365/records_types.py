"""What the environment says of a table: its columns, what hangs on it, what its deletion wakes, how long its bin keeps.

Web API guide, "Query table definitions using the Web API"; developer guide, "Table relationship behavior"; table
references sdkmessageprocessingstep, workflow, callbackregistration and recyclebinconfig. One request for each table.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from offloader.errors import AuthError, ConfigError, Permanent
from offloader.records import Child, FieldType, OnDelete, RecordType
from offloader_connectors.answers import harmless
from offloader_connectors.dynamics365 import environment, odata, rows
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.environment import Environment, Table
from offloader_connectors.dynamics365.permissions import Permissions
from offloader_connectors.dynamics365.rows import Row

#: added to a look-up's name: the field that says which table it leads to, where it can lead to several
TABLE_OF = "@table"
#: columns with bodies, which are documents and no fields
_BODIES = frozenset({("annotation", "documentbody"), ("activitymimeattachment", "body"), ("attachment", "body")})
#: when a row was created; where a new row is told so
CREATED, BROUGHT_IN = "createdon", "overriddencreatedon"
_BACKDATE = "prvOverrideCreatedOnCreatedBy"
#: tables whose rows are documents that a source lists
DOCUMENTS = frozenset({"annotation", "activitymimeattachment", "fileattachment"})
#: what the platform keeps for itself beside a record, and the shadow of every activity
_BOOKKEEPING = frozenset(
    {
        "activitypointer",
        "asyncoperation",
        "audit",
        "bulkdeletefailure",
        "duplicaterecord",
        "mailboxtrackingfolder",
        "principalobjectattributeaccess",
        "processsession",
        "syncerror",
        "userentityinstancedata",
    }
)
_UNREADABLE = frozenset({"Virtual", "PartyList", "ManagedProperty", "CalendarRules"})
#: CascadeConfiguration.Delete: what is not listed here leaves the child, with or without its look-up
_CASCADES: Mapping[str, OnDelete] = {
    "Cascade": OnDelete.CASCADE,
    "Active": OnDelete.CASCADE,
    "UserOwned": OnDelete.CASCADE,
    "Restrict": OnDelete.RESTRICT,
}
#: texts of at least so many characters make rows heavy
_HEAVY = 1_000_000
#: CallbackRegistration.message: those of its seven values that include a deletion
_WAKES = frozenset({2, 5, 6, 7})
#: days that the bin keeps, where its configuration does not say
_BIN_DAYS = 30
_CORE_STAGE = 30
_ENTITY = "?$select=LogicalName,DisplayName"
_COLUMNS = (
    "/Attributes?$select=LogicalName,AttributeOf,AttributeType,AttributeTypeName,DisplayName,IsValidForCreate,"
    "IsValidForUpdate,IsValidForRead,IsValidODataAttribute,IsSecured"
)
_DATES = "/Attributes/Microsoft.Dynamics.CRM.DateTimeAttributeMetadata?$select=LogicalName,DateTimeBehavior"
_MEMOS = "/Attributes/Microsoft.Dynamics.CRM.MemoAttributeMetadata?$select=LogicalName,MaxLength"
_PARENTS = (
    "/ManyToOneRelationships?$select=ReferencedEntity,ReferencingAttribute,ReferencingEntityNavigationPropertyName"
)
_CHILDREN = (
    "/OneToManyRelationships?$select=ReferencingEntity,ReferencingAttribute,CascadeConfiguration,ReferencedAttribute"
)
_STEPS = (
    "sdkmessageprocessingsteps?$select=name,stage,ishidden&$expand=sdkmessagefilterid($select=primaryobjecttypecode)"
    "&$filter=" + odata.encode("sdkmessageid/name eq 'Delete' and statecode eq 0")
)
_BIN = "recyclebinconfigs?$select=name,cleanupintervalindays,isreadyforrecyclebin&$filter=statecode%20eq%200"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `wire` is its name in JSON, `type` as the CRM's metadata have it."""

    name: str
    wire: str
    type: str
    label: str
    creatable: bool
    updatable: bool
    secured: bool = False
    #: days without a time of day, as `2026-01-31`
    date_only: bool = False
    refers_to: tuple[str, ...] = ()

    @property
    def is_lookup(self) -> bool:
        return environment.is_lookup(self.type)

    @property
    def many(self) -> bool:
        """Whether it is a look-up that can lead to several tables."""
        return self.is_lookup and len(self.refers_to) != 1


@dataclass(frozen=True, slots=True)
class Kind:
    """A table as records are read from and written to it."""

    table: Table
    label: str
    columns: Mapping[str, Column]
    children: tuple[Child, ...]
    #: (look-up, table) → the property by which it is set
    navigation: Mapping[tuple[str, str], str] = field(default_factory=dict)
    automation: tuple[str, ...] | None = None
    bin_days: int | None = None
    #: whether the environment shows which tables have a bin
    bin_shown: bool = True
    heavy: bool = False

    @property
    def name(self) -> str:
        return self.table.logical_name

    @property
    def key(self) -> str:
        return self.table.primary_id

    @property
    def wires(self) -> tuple[str, ...]:
        return tuple(column.wire for column in self.columns.values())

    def column(self, name: str) -> Column:
        """Raises ConfigError."""
        found = self.columns.get(name)
        if found is None:
            raise ConfigError(f"{self.name} has no readable column {name[:80]!a}")
        return found

    def described(self) -> RecordType:
        return RecordType(
            name=self.name,
            label=self.label,
            fields=tuple(_fields(self.columns.values())),
            children=self.children,
            automation=self.automation,
            bin_days=self.bin_days,
            creatable=self.name not in DOCUMENTS,
        )


class Types:
    """Reads definitions of tables, and keeps them. Thread-safe."""

    def __init__(self, api: Api, known: Environment, permitted: Permissions) -> None:
        self._api = api
        self._environment = known
        self._permissions = permitted
        self._lock = threading.RLock()
        self._kinds: dict[str, Kind] = {}

    def of(self, name: str) -> Kind:
        """A table, as it was when it was last described. Raises ConfigError if the environment shows none."""
        with self._lock:
            return self._kinds.get(name) or self.describe(name)

    def describe(self, name: str) -> Kind:
        """Read the definition anew. Raises ConfigError if the environment shows no such table."""
        table = self._environment.tables().get(name)
        if table is None:
            raise ConfigError(f"the environment has no table {name[:80]!a}, or does not show it")
        path = f"EntityDefinitions(LogicalName='{odata.name(name)}')"
        asked = [path + each for each in (_ENTITY, _COLUMNS, _DATES, _MEMOS, _PARENTS, _CHILDREN)]
        parts = [Part("GET", each, operation="metadata") for each in (*asked, *_automation_paths(name), _BIN)]
        answers = self._api.batch("describe", parts)
        kind = self._read(table, answers)
        with self._lock:
            self._kinds[name] = kind
        return kind

    def _read(self, table: Table, answers: Sequence[Answer]) -> Kind:
        entity, columns, dates, memos, parents, children, steps, workflows, callbacks, bins = answers
        days = {rows.optional(row, "LogicalName") for row in dates.require().rows() if _behaviour(row) == "DateOnly"}
        lookups = parents.require().rows()
        found = [_column(table, row, lookups, days) for row in columns.require().rows()]
        known = {each.name: each for each in found if each is not None}
        return Kind(
            table=table,
            label=_label(entity.require().record()) or table.logical_name,
            columns=known | self._dated(known),
            children=tuple(self._children(children.require().rows())),
            navigation=_navigation(lookups),
            automation=_automation(table.logical_name, steps, workflows, callbacks),
            bin_days=_bin_days(table.logical_name, bins),
            bin_shown=bins.ok,
            heavy=any((rows.integer(row, "MaxLength") or 0) >= _HEAVY for row in memos.require().rows()),
        )

    def _dated(self, columns: Mapping[str, Column]) -> dict[str, Column]:
        """The date of creation, which a new row takes from `overriddencreatedon` if the user may do that.

        What stands in that column itself is when the row was brought in; it is never written back (developer guide,
        "Create a table row": the date when a record was created is overridden).
        """
        created, brought_in = columns.get(CREATED), columns.get(BROUGHT_IN)
        if created is None or brought_in is None:
            return {}
        may = brought_in.creatable and self._permissions.now().has(_BACKDATE)
        return {CREATED: replace(created, creatable=may), BROUGHT_IN: replace(brought_in, creatable=False)}

    def _children(self, relationships: Sequence[Row]) -> Iterator[Child]:
        tables, seen = self._environment.tables(), set[tuple[str, str]]()
        for row in relationships:
            child, lookup = (rows.optional(row, name) or "" for name in ("ReferencingEntity", "ReferencingAttribute"))
            if child not in tables or child in _BOOKKEEPING or (child, lookup) in seen or not odata.is_name(lookup):
                continue
            seen.add((child, lookup))
            cascade = row.get("CascadeConfiguration")
            deletion = rows.optional(cascade, "Delete") if isinstance(cascade, Mapping) else None
            yield Child(child, lookup, _CASCADES.get(deletion or "", OnDelete.CLEAR), child in DOCUMENTS)


def _fields(columns: Any) -> Iterator[FieldType]:
    for each in columns:
        kind = each.type if not each.is_lookup else "Lookup"
        yield FieldType(name=each.name, label=each.label, type=kind, creatable=each.creatable, refers_to=each.refers_to)
        if each.many:
            name, label = f"{each.name}{TABLE_OF}", f"{each.label}: table"
            yield FieldType(name=name, label=label, type="EntityName", creatable=each.creatable)


def _column(table: Table, row: Row, lookups: Sequence[Row], days: set[str | None]) -> Column | None:
    """A column that can be read as one value; None for pictures, files, lists and what only shadows another column."""
    name, kind = rows.optional(row, "LogicalName") or "", rows.optional(row, "AttributeType") or ""
    detail = row.get("AttributeTypeName")
    if isinstance(detail, Mapping) and rows.optional(detail, "Value") == "MultiSelectPicklistType":
        kind = "MultiSelectPicklist"
    hidden = row.get("IsValidForRead") is False or row.get("IsValidODataAttribute") is False
    if hidden or kind in _UNREADABLE or rows.optional(row, "AttributeOf") or (table.logical_name, name) in _BODIES:
        return None
    if not odata.is_name(name):
        return None
    targets = (rows.optional(each, "ReferencedEntity") for each in lookups if each.get("ReferencingAttribute") == name)
    return Column(
        name=name,
        wire=f"_{name}_value" if environment.is_lookup(kind) else name,
        type=kind,
        label=_label(row) or name,
        creatable=rows.flag(row, "IsValidForCreate"),
        updatable=rows.flag(row, "IsValidForUpdate"),
        secured=rows.flag(row, "IsSecured"),
        date_only=name in days,
        refers_to=tuple(odata.unique(each for each in targets if each)) if environment.is_lookup(kind) else (),
    )


def _navigation(lookups: Sequence[Row]) -> dict[tuple[str, str], str]:
    names = ("ReferencingAttribute", "ReferencedEntity", "ReferencingEntityNavigationPropertyName")
    found = ([rows.optional(row, name) or "" for name in names] for row in lookups)
    return {(lookup, table): name for lookup, table, name in found if odata.is_name(name)}


def _label(row: Row) -> str:
    shown = row.get("DisplayName")
    local = shown.get("UserLocalizedLabel") if isinstance(shown, Mapping) else None
    return harmless(rows.optional(local, "Label") or "", 160) if isinstance(local, Mapping) else ""


def _behaviour(row: Row) -> str | None:
    value = row.get("DateTimeBehavior")
    return rows.optional(value, "Value") if isinstance(value, Mapping) else None


# -- what a deletion wakes --------------------------------------------------------------------------------------


def _automation_paths(table: str) -> tuple[str, ...]:
    workflows = odata.encode(
        f"primaryentity eq {odata.literal(table)} and triggerondelete eq true and statecode eq 1 and type eq 1"
    )
    flows = odata.encode(f"entityname eq {odata.literal(table)}")
    return (
        _STEPS,
        f"workflows?$select=name&$filter={workflows}",
        f"callbackregistrations?$select=name,message&$filter={flows}",
    )


def _automation(table: str, steps: Answer, workflows: Answer, callbacks: Answer) -> tuple[str, ...] | None:
    """Names of plug-ins, workflows and flows; None if any of the three may not be seen."""
    answers = (steps, workflows, callbacks)
    if any(not answer.ok for answer in answers):
        for answer in answers:
            _expected(answer)
        return None
    found = [("plug-in", row) for row in steps.rows() if _step_runs(row, table)]
    found += [("workflow", row) for row in workflows.rows()]
    found += [("flow", row) for row in callbacks.rows() if rows.integer(row, "message") in _WAKES]
    return tuple(f"{kind}: {harmless(rows.optional(row, 'name') or 'without a name', 200)}" for kind, row in found)


def _step_runs(row: Row, table: str) -> bool:
    """Whether a step on Delete is somebody's own and for this table, or for all."""
    hidden, only = row.get("ishidden"), row.get("sdkmessagefilterid")
    hidden = hidden.get("Value") if isinstance(hidden, Mapping) else hidden
    if rows.integer(row, "stage") == _CORE_STAGE or hidden is True:
        return False
    return not isinstance(only, Mapping) or rows.optional(only, "primaryobjecttypecode") in {table, None, "none"}


def _bin_days(table: str, answer: Answer) -> int | None:
    """Days that the bin keeps rows of a table; a table's own -1 means: as the environment (name `organization`)."""
    if not answer.ok:
        _expected(answer)
        return None
    known = {(rows.optional(row, "name") or "").lower(): row for row in answer.rows()}
    own = known.get(table)
    if own is None or not rows.flag(own, "isreadyforrecyclebin"):
        return None
    terms = (rows.integer(each, "cleanupintervalindays") for each in (own, known.get("organization", {})))
    return next((days for days in terms if days is not None and days > 0), _BIN_DAYS)


def _expected(answer: Answer) -> None:
    """Pass over a refusal. Raises everything else."""
    error = answer.error()
    if error is not None and (isinstance(error, AuthError) or not isinstance(error, Permanent)):
        raise error
