"""Objects and fields as values, read from the compact table in `objects`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

#: types whose values are compared as plain text, in lower case
TEXT = {"string", "textarea", "picklist", "multipicklist", "email", "phone", "url", "combobox", "encryptedstring"}
#: types that query filters refuse
UNFILTERABLE = {"base64", "longtextarea"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `relation` is the name under which a reference's target is reached in SOQL."""

    name: str
    type: str
    length: int = 0
    createable: bool = False
    updateable: bool = False
    nillable: bool = True
    required: bool = False
    audit: bool = False
    id_lookup: bool = False
    external_id: bool = False
    unique: bool = False
    cascade: bool = False
    custom: bool = False
    name_field: bool = False
    default: object = None
    targets: tuple[str, ...] = ()
    relation: str | None = None
    values: tuple[str, ...] = ()

    @property
    def filterable(self) -> bool:
        return self.type not in UNFILTERABLE

    @property
    def label(self) -> str:
        if self.name == "Id":
            return f"{self.name}"
        base = self.name.removesuffix("__c").replace("_", " ")
        words = "".join(
            f" {char}" if char.isupper() and index and not base[index - 1].isupper() else char
            for index, char in enumerate(base)
        )
        return " ".join(words.split()).replace(" Id", " ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class SObject:
    """One object. `fields` is keyed by name; `lower` finds a name in any case, relations included."""

    name: str
    prefix: str | None
    fields: Mapping[str, Field]
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    undeletable: bool = False
    queryable: bool = True
    replicateable: bool = True
    custom: bool = False
    lower: Mapping[str, Field] = field(default_factory=dict)
    relations: Mapping[str, Field] = field(default_factory=dict)

    def blob_fields(self) -> tuple[Field, ...]:
        return tuple(item for item in self.fields.values() if item.type == "base64")

    @property
    def plural(self) -> str:
        return self.name.removesuffix("__c").replace("_", " ") + "s"


_FLAGS = {
    "c": "createable", "u": "updateable", "r": "required", "a": "audit", "i": "id_lookup",
    "x": "external_id", "q": "unique", "d": "cascade", "n": "name_field",
}  # fmt: skip


def _field(line: str) -> Field:
    """`Name type[(length|a/b/c)] [+flags] [=default] [> Target,Target [as Relation]]`."""
    left, _, target = line.partition(">")
    words = left.split()
    name, kind = words[0], words[1]
    kind, _, inside = kind.partition("(")
    inside = inside.rstrip(")")
    keys: dict[str, object] = {"name": name, "type": kind, "custom": name.endswith("__c")}
    if inside.isdigit():
        keys["length"] = int(inside)
    elif inside:
        keys["values"] = tuple(inside.split("/"))
        keys["length"] = 255
    for word in words[2:]:
        if word.startswith("+"):
            keys.update({_FLAGS[flag]: True for flag in word[1:]})
        elif word.startswith("="):
            keys["default"] = {"true": True, "false": False}.get(word[1:], word[1:])
    if target:
        names, _, relation = target.partition(" as ")
        keys["targets"] = tuple(names.strip().split(","))
        own = name[:-3] + "__r" if name.endswith("__c") else name.removesuffix("Id")
        keys["relation"], keys["length"] = relation.strip() or own, 18
    keys["nillable"] = not (kind in {"boolean", "id"} or keys.get("required"))
    if kind == "boolean":
        keys.setdefault("default", False)
    return Field(**keys)  # type: ignore[arg-type]


_ID = Field(name="Id", type="id", length=18, nillable=False, id_lookup=True)


def parse_objects(table: str) -> dict[str, SObject]:
    """Read the table: a header `# Name prefix words…`, then one field a line."""
    objects: dict[str, SObject] = {}
    for block in table.strip().split("\n# "):
        lines = [line for line in block.removeprefix("# ").splitlines() if line.strip()]
        name, prefix, *words = lines[0].split()
        listed = [_field(line) for line in lines[1:] if not line.startswith("@")]
        for line in lines[1:]:
            if line.startswith("@"):
                listed += [_field(common) for common in COMMON[line.split()[0][1:]].strip().splitlines()]
        fields = {"Id": _ID} | {item.name: item for item in listed}
        objects[name] = complete(
            SObject(
                name=name,
                prefix=None if prefix == "-" else prefix,
                fields=fields,
                createable="nocreate" not in words,
                updateable="noupdate" not in words,
                deletable="nodelete" not in words,
                undeletable="undelete" in words,
                replicateable="noreplicate" not in words,
                custom=name.endswith("__c"),
            )
        )
    return objects


def complete(sobject: SObject) -> SObject:
    """The same object with its look-up tables filled."""
    fields = sobject.fields.values()
    return replace(
        sobject,
        lower={item.name.lower(): item for item in fields},
        relations={item.relation.lower(): item for item in fields if item.relation},
    )


COMMON = {
    "system": """
CreatedDate datetime +a
CreatedById reference +a > User as CreatedBy
LastModifiedDate datetime +a
LastModifiedById reference +a > User as LastModifiedBy
SystemModstamp datetime
IsDeleted boolean
""",
    "owner": """
OwnerId reference +cu > User,Group as Owner
""",
}
