"""One call of the Web API on its way through the emulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from offloader_connectors.dynamics365.emulator import paths
from offloader_connectors.dynamics365.emulator.errors import DataverseError, no_segment, not_found
from offloader_connectors.dynamics365.emulator.ids import normal
from offloader_connectors.dynamics365.emulator.paths import Segment
from offloader_connectors.dynamics365.emulator.payload import find, key_values
from offloader_connectors.dynamics365.emulator.prefer import Prefer
from offloader_connectors.dynamics365.emulator.schema import Column, Table
from offloader_connectors.emulation.faults import Rule
from offloader_connectors.emulation.wire import Answer, Request

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.access import User
    from offloader_connectors.dynamics365.emulator.app import Dataverse

JSON = "application/json; odata.metadata=minimal"
JSON_IN_BATCH = f"{JSON}; odata.streaming=true"


@dataclass(slots=True)
class Call:
    """A call by a user who may enter. `inner`: inside a batch."""

    app: Dataverse
    request: Request
    caller: User
    segments: tuple[Segment, ...]
    prefer: Prefer
    #: https://HOST/api/data/v9.2/
    root: str
    rules: list[Rule] = field(default_factory=list)
    inner: bool = False
    #: rules of inner calls that act on the outer answer
    effects: list[Rule] = field(default_factory=list)
    #: `table/id` of the rows that the call was about
    subjects: list[str] = field(default_factory=list)

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query

    def header(self, name: str) -> str | None:
        return self.request.headers.get(name)

    def json(self) -> Any:
        """The body. Raises DataverseError if it is no JSON."""
        try:
            return self.request.json()
        except (ValueError, RecursionError) as error:
            text = f"Error identified in Payload provided by the user for Entity :'', For more information: {error}"
            raise DataverseError(400, "0x80048d19", text) from None

    def fields(self) -> dict[str, Any]:
        """The body as one JSON object. Raises DataverseError."""
        body = self.json()
        if not isinstance(body, dict):
            text = "Error identified in Payload provided by the user for Entity :'', a JSON object is expected."
            raise DataverseError(400, "0x80048d19", text)
        return body

    def table(self, set_name: str) -> Table:
        """Raises DataverseError 404."""
        found = self.app.org.schema.sets.get(set_name)
        if found is None:
            raise no_segment(set_name)
        return found

    def key(self, table: Table, arguments: str) -> str | dict[str, Any]:
        """An id, or the values of an alternate key by column. Raises DataverseError for what is neither."""
        text = arguments.strip()
        if text.startswith("@"):
            text = str(paths.literal(text, self.query))
        found = normal(text.removeprefix(f"{table.key}=").strip("'"))
        values = found or key_values(table, text)
        if not values:
            raise DataverseError(400, "0x80060888", f"Bad Request - Error in query syntax: '{text[:100]}' is no key.")
        return values

    def record(self, table: Table, arguments: str) -> str:
        """The id that a key leads to. Raises DataverseError; 404 for an alternate key that leads to nothing."""
        key = self.key(table, arguments)
        found = key if isinstance(key, str) else find(self.app.org, table, key)
        if found is None:
            raise DataverseError(404, "0x80060891", "A record with the specified key values does not exist.")
        return found

    def row(self, table: Table, record: str) -> Mapping[str, Any]:
        """A row that the caller may read. Raises DataverseError 404 or 403."""
        row = self.app.org.store.get(table.name, record)
        if row is None:
            raise not_found(table.name, record)
        self.caller.check("Read", table.name, row)
        return row

    def target(self, value: object) -> tuple[Table, str]:
        """Table and id of a reference: {"@odata.id": "accounts(…)"}, or an entity with type and key."""
        if not isinstance(value, Mapping):
            raise DataverseError(400, "0x80048d19", "A reference to a record is expected.")
        address = value.get("@odata.id")
        if isinstance(address, str):
            set_name, key = paths.reference(address)
            table = self.table(set_name)
            return table, self.record(table, key)
        name = str(value.get("@odata.type", "")).removeprefix("#").removeprefix(paths.NAMESPACE)
        found = self.app.org.schema.tables.get(name)
        record = normal(value.get(found.key)) if found else None
        if found is None or record is None:
            raise DataverseError(400, "0x80048d19", "A reference needs @odata.type and the record's primary key.")
        return found, record

    def about(self, table: Table, record: str) -> None:
        self.subjects.append(f"{table.name}/{record}")

    def address(self, table: Table, record: str) -> str:
        return f"{self.root}{table.set_name}({record})"

    def context(self, what: str) -> dict[str, Any]:
        return {"@odata.context": f"{self.root}$metadata#{what}"}

    def response(self, name: str, values: Mapping[str, Any]) -> Answer:
        """The answer of a function or an action."""
        return Answer(data={**self.context(f"{paths.NAMESPACE}{name}Response"), **values})


Handler = Callable[[Call], Answer]


def etag_of(row: Mapping[str, Any]) -> str:
    return f'W/"{row["versionnumber"]}"'


def file_column(table: Table, name: str) -> Column | None:
    """The file or image column of this name."""
    column = table.columns.get(name)
    return column if column is not None and column.type in {"file", "image"} else None
