"""Tables and columns as values, read from the compact texts in `tables_*`.

A block is `# name set [otc=N] [key=column] [name=column] words…` and one column a line:
`name type[(length|choices)] [words] [=default] [> target(collection)[!cascade|!restrict], …]`.
Words: `ro` read-only, `co` create only, `req` required, `noread` never selected. Choices are `1:Open/2:Closed`; a
status has its state as a third part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

TEXT = {"string", "memo", "entityname"}
NUMBERS = {"integer", "bigint", "decimal", "double", "money"}
CHOICES = {"picklist", "state", "status"}
LOOKUPS = {"lookup", "customer", "owner"}
#: EDM type and AttributeType by type of column ("Microsoft.Dynamics.CRM metadata EntityTypes")
EDM = {
    "uniqueidentifier": "Edm.Guid", "string": "Edm.String", "memo": "Edm.String", "entityname": "Edm.String",
    "body": "Edm.String", "integer": "Edm.Int32", "bigint": "Edm.Int64", "decimal": "Edm.Decimal",
    "money": "Edm.Decimal", "double": "Edm.Double", "boolean": "Edm.Boolean", "datetime": "Edm.DateTimeOffset",
    "date": "Edm.Date", "picklist": "Edm.Int32", "state": "Edm.Int32", "status": "Edm.Int32", "lookup": "Edm.Guid",
    "customer": "Edm.Guid", "owner": "Edm.Guid", "file": "Edm.Guid", "image": "Edm.Binary",
}  # fmt: skip
Deletion = Literal["Cascade", "Restrict", "RemoveLink"]


@dataclass(frozen=True, slots=True)
class Target:
    """A table that a lookup can lead to: the property to it, the property back, and what deleting it does."""

    table: str
    navigation: str
    collection: str
    deletion: Deletion = "RemoveLink"


@dataclass(frozen=True, slots=True)
class Choice:
    value: int
    label: str
    #: of a status: the state that it belongs to
    state: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column by its logical name. `type` is one of the keys of `EDM`."""

    name: str
    type: str
    length: int = 0
    create: bool = True
    update: bool = True
    required: bool = False
    readable: bool = True
    default: Any = None
    targets: tuple[Target, ...] = ()
    choices: tuple[Choice, ...] = ()
    schema_name: str = ""
    label: str = ""
    #: of an image: whether the whole image is kept
    full: bool = False
    #: of a file or image, in KiB
    max_kib: int = 0
    low: float | None = None
    high: float | None = None
    precision: int | None = None
    #: `Url`, `Email`, … of a string; `DateOnly` or `DateAndTime`
    format: str | None = None

    @property
    def is_lookup(self) -> bool:
        return self.type in LOOKUPS

    @property
    def wire(self) -> str:
        """The name of its property in JSON."""
        return f"_{self.name}_value" if self.is_lookup else self.name

    @property
    def custom(self) -> bool:
        return "_" in self.name and not self.name.startswith("msdyn_")

    def target(self, table: str) -> Target | None:
        return next((target for target in self.targets if target.table == table), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An alternate key."""

    name: str
    columns: tuple[str, ...]
    id: str = ""
    label: str = ""


@dataclass(slots=True, kw_only=True)
class Table:
    """One table. `columns` is keyed by logical name; `wires` by JSON name; both in the order of the table."""

    name: str
    set_name: str
    key: str
    name_column: str | None
    otc: int
    columns: dict[str, Column]
    schema_name: str = ""
    label: str = ""
    ownership: Literal["UserOwned", "OrganizationOwned", "BusinessOwned", "None"] = "UserOwned"
    activity: bool = False
    notes: bool = False
    tracking: bool = True
    #: whether the API may write rows ("read": never)
    writable: bool = True
    #: CreateMultiple and its like
    multiple: bool = True
    custom: bool = False
    keys: dict[str, Key] = field(default_factory=dict)
    wires: dict[str, Column] = field(default_factory=dict)
    #: single-valued navigation properties
    single: dict[str, tuple[Column, tuple[Target, ...]]] = field(default_factory=dict)

    def complete(self) -> Table:
        """The same table with its look-up tables filled."""
        self.wires = {column.wire: column for column in self.columns.values()}
        self.single = {}
        for column in self.columns.values():
            for target in column.targets:
                known = self.single.get(target.navigation, (column, ()))[1]
                self.single[target.navigation] = (column, (*known, target))
        return self

    @property
    def bodies(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns.values() if column.type in {"body", "image"})

    @property
    def lookups(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns.values() if column.targets)


_COLUMN = re.compile(r"(\w+) (\w+)(?:\(([^)]*)\))?((?: [\w.=-]+)*)(?: > (.+))?")
_TARGET = re.compile(r"(\w+)(?:\((\w*)(?:,(\w+))?\))?(?:!(\w+))?")
_DELETIONS: Mapping[str, Deletion] = {"cascade": "Cascade", "restrict": "Restrict"}


def _choices(text: str) -> tuple[Choice, ...]:
    found = []
    for item in text.split("/"):
        value, label, *state = item.split(":")
        found.append(Choice(int(value), label, int(state[0]) if state else None))
    return tuple(found)


def _default(text: str) -> Any:
    known = {"true": True, "false": False}
    return known.get(text, int(text) if re.fullmatch(r"-?\d+", text) else text)


def schema_name(name: str) -> str:
    """`accountid` is Accountid, `new_contract` is new_Contract: the publisher's prefix stays."""
    prefix, mark, rest = name.rpartition("_") if name.count("_") == 1 else ("", "", name)
    return f"{prefix}{mark}{rest[:1].upper()}{rest[1:]}"


def _targets(text: str, table: str, column: str, activity: bool) -> Iterator[Target]:
    matches = [_TARGET.fullmatch(item.strip()) for item in text.split(", ")]
    assert all(matches), text
    for match in filter(None, matches):
        name, collection, navigation, deletion = match.groups()
        if not navigation:
            navigation = schema_name(column) if column.startswith("new_") else column
            if len(matches) > 1:
                tail = f"_{table}" if activity and column == "regardingobjectid" else ""
                navigation = f"{column}_{name}{tail}"
        back = collection or f"{name}_{table}_{column}"
        yield Target(name, navigation, back, _DELETIONS.get(deletion, "RemoveLink"))


def read_column(line: str, table: str, *, activity: bool = False) -> Column:
    """One line of a block."""
    match = _COLUMN.fullmatch(line.strip())
    assert match, line
    name, kind, inside, tail, targets = match.groups()
    words = tail.split()
    keys: dict[str, Any] = {"name": name, "type": kind, "schema_name": schema_name(name)}
    keys["label"] = " ".join(name.removeprefix("new_").split("_")).capitalize()
    if inside and kind in {"picklist", "state", "status", "boolean"}:
        keys["choices"] = _choices(inside)
    elif inside and kind in {"file", "image"}:
        keys["max_kib"] = int(inside)
    elif inside:
        keys["length"] = int(inside)
    for word in words:
        if word.startswith("="):
            keys["default"] = _default(word[1:])
        elif word.startswith("format="):
            keys["format"] = word.removeprefix("format=")
        else:
            keys.update(_WORDS[word])
    if targets:
        keys["targets"] = tuple(_targets(targets, table, name, activity))
    return Column(**keys)


_WORDS: Mapping[str, Mapping[str, Any]] = {
    "ro": {"create": False, "update": False},
    "co": {"update": False},
    "req": {"required": True},
    "noread": {"readable": False},
    "full": {"full": True},
}


def read_tables(text: str, common: Mapping[str, str]) -> dict[str, Table]:
    """All blocks of a text; a line `@word` stands for the lines of `common[word]`."""
    tables = {}
    for block in text.strip().split("\n# "):
        lines = [line for line in block.removeprefix("# ").splitlines() if line.strip()]
        name, set_name, *words = lines[0].split()
        tables[name] = _table(name, set_name, words, lines[1:], common)
    return tables


def _table(name: str, set_name: str, words: list[str], lines: list[str], common: Mapping[str, str]) -> Table:
    given = dict(word.split("=", 1) for word in words if "=" in word)
    key = given.get("key", f"{name}id")
    activity = "activity" in words
    expanded: list[str] = []
    for line in lines:
        expanded += common[line[1:].strip()].strip().splitlines() if line.startswith("@") else [line]
    listed = [Column(name=key, type="uniqueidentifier", update=False, schema_name=schema_name(key), label=key)]
    listed += [read_column(line, name, activity=activity) for line in expanded]
    listed.append(Column(name="versionnumber", type="bigint", create=False, update=False, schema_name="VersionNumber"))
    columns = {column.name: column for column in listed}
    for extra in [extra for column in listed for extra in companions(column)]:
        columns.setdefault(extra.name, extra)
    owned: Literal["UserOwned", "OrganizationOwned"] = "UserOwned" if "ownerid" in columns else "OrganizationOwned"
    named = given.get("alternate", "")
    keys = {named: Key(name=named, columns=(given["alternate_columns"],))} if named else {}
    return Table(
        name=name,
        set_name=set_name,
        key=key,
        name_column=given.get("name"),
        otc=int(given.get("otc", 0)),
        columns=columns,
        schema_name=given.get("schema", schema_name(name)),
        label=given.get("label", name.removeprefix("new_")).replace("_", " ").capitalize(),
        ownership="None" if "unowned" in words else owned,
        activity=activity,
        notes="notes" in words,
        tracking="untracked" not in words,
        writable="read" not in words,
        multiple="single" not in words,
        custom=name.startswith("new_"),
        keys=keys,
    ).complete()


def companions(column: Column) -> Iterable[Column]:
    """Columns that the platform adds to a file or an image column ("Image column data", "File column data")."""

    def added(name: str, kind: str) -> Column:
        return Column(name=name, type=kind, create=False, update=False, schema_name=schema_name(name), label=name)

    if column.type == "file":
        return (added(f"{column.name}_name", "string"),)
    if column.type == "image":
        tails = (("id", "uniqueidentifier"), ("_timestamp", "bigint"), ("_url", "string"))
        return tuple(added(column.name + tail, kind) for tail, kind in tails)
    return ()


class Schema:
    """The tables of an environment; custom ones come and go."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self.tables: dict[str, Table] = {}
        self.sets: dict[str, Table] = {}
        #: by table: collection-valued navigation property -> (child table, its lookup)
        self.collections: dict[str, dict[str, tuple[str, Column]]] = {}
        for table in tables:
            self.tables[table.name] = table
        self.refresh()

    def refresh(self) -> None:
        """Compute what depends on all tables together."""
        self.sets = {table.set_name: table for table in self.tables.values()}
        self.collections = {name: {} for name in self.tables}
        general = self.tables.get("activitypointer")
        for table in self.tables.values():
            if table.activity and general is not None:
                _inherit(table, general)
            for column in table.lookups:
                for target in column.targets:
                    for parent in self._reached(target.table):
                        self.collections[parent].setdefault(target.collection, (table.name, column))

    def _reached(self, target: str) -> Iterable[str]:
        """A lookup to activities in general leads to each kind of them."""
        if target == "activitypointer":
            return [name for name, table in self.tables.items() if table.activity or name == target]
        return [target] if target in self.tables else []

    def children(self, table: str) -> Iterator[tuple[Table, Column, Target]]:
        """Every lookup that can lead to the table."""
        for child in self.tables.values():
            for column in child.lookups:
                target = column.target(table)
                if target:
                    yield child, column, target


def _inherit(table: Table, general: Table) -> None:
    """What leads from activities in general leads from each kind of them too."""
    for navigation, (column, targets) in general.single.items():
        if navigation not in table.single and column.name in table.columns:
            own = table.columns[column.name]
            reached = {target.table for target in targets}
            table.single[navigation] = (own, tuple(target for target in own.targets if target.table in reached))


def table_as_json(table: Table) -> dict[str, Any]:
    """A table as JSON keeps it."""
    kept = asdict(table)
    return {name: value for name, value in kept.items() if name not in {"wires", "single"}}


def table_from_json(kept: Mapping[str, Any]) -> Table:
    """The inverse of `table_as_json`."""
    columns = {}
    for name, item in kept["columns"].items():
        targets = tuple(Target(**target) for target in item["targets"])
        choices = tuple(Choice(**choice) for choice in item["choices"])
        columns[name] = Column(**{**item, "targets": targets, "choices": choices})
    keys = {name: Key(**{**item, "columns": tuple(item["columns"])}) for name, item in kept["keys"].items()}
    return Table(**{**kept, "columns": columns, "keys": keys}).complete()
