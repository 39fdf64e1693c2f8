"""One call of the REST API on its way through the emulator, and the table of resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from offloader_connectors.emulation.blobs import Blob
from offloader_connectors.emulation.faults import Rule
from offloader_connectors.emulation.wire import Answer, Request
from offloader_connectors.salesforce.emulator.errors import SalesforceError, not_found
from offloader_connectors.salesforce.emulator.schema import SObject

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.app import Salesforce
    from offloader_connectors.salesforce.emulator.sharing import Actor

OLDEST, NEWEST = 40, 67


@dataclass(slots=True)
class Call:
    """A call by a logged-in user. `args`: the variable parts of its path; `inner`: inside a composite or a batch."""

    app: Salesforce
    request: Request
    actor: Actor
    version: float
    args: tuple[str, ...]
    rules: Sequence[Rule] = ()
    inner: bool = False
    #: rules of inner calls that act on the outer answer
    effects: list[Rule] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"/services/data/v{self.version}"

    @property
    def host(self) -> str:
        return self.request.headers.get("host", "localhost")

    def sobject(self, name: str) -> SObject:
        """Raises SalesforceError NOT_FOUND."""
        found = self.app.org.objects_lower.get(name.lower())
        if found is None:
            raise not_found()
        return found

    def json(self) -> Any:
        """Raises SalesforceError JSON_PARSER_ERROR."""
        try:
            return self.request.json()
        except ValueError as error:
            place = f"at [line:{getattr(error, 'lineno', 1)}, column:{getattr(error, 'colno', 1)}]"
            raise SalesforceError("JSON_PARSER_ERROR", f"Unexpected character in the request body {place}") from None

    def fields(self) -> Mapping[str, Any]:
        """The body as one JSON object."""
        body = self.json()
        if not isinstance(body, dict):
            text = "The HTTP entity body is required, but this request has no entity body."
            raise SalesforceError("JSON_PARSER_ERROR", text)
        return body

    def failing_items(self) -> Mapping[int, SalesforceError]:
        """Errors that the fault script puts on single items of this batch."""
        failing: dict[int, SalesforceError] = {}
        for rule in self.rules:
            if rule.do == "item":
                code = rule.code or "UNABLE_TO_LOCK_ROW"
                text = rule.message or "unable to obtain exclusive access to this record"
                failing |= dict.fromkeys(rule.items(), SalesforceError(code, text, list(rule.fields)))
        return failing

    def multipart(self) -> tuple[Mapping[str, Any] | list[Any], Mapping[str, Blob | bytes]]:
        """The JSON part and the binary parts by name. Raises SalesforceError."""
        texts = [
            part for part in self.request.parts if part.content_type == "application/json" or part.file_name is None
        ]
        if not texts or isinstance(texts[0].data, Blob):
            raise SalesforceError(
                "INVALID_MULTIPART_REQUEST", "The multipart request has no part with the record's fields."
            )
        self.request.body = texts[0].data
        rest = {part.name: part.data for part in self.request.parts if part is not texts[0]}
        parsed: Any = self.json()
        return parsed, rest


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Resource:
    """A method on a path pattern below the version (`sobjects/{}/{}`), its stable name and what carries it out."""

    method: str
    path: str
    operation: str
    handler: Handler


class Routes:
    """Finds the resource of a path."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._patterns: dict[tuple[int, str], list[tuple[re.Pattern[str], dict[str, Resource]]]] = {}
        for resource in resources:
            parts = resource.path.split("/")
            found = self._patterns.setdefault((len(parts), parts[0].lower()), [])
            text = "/".join("([^/]+)" if part == "{}" else re.escape(part) for part in parts)
            known = next((entry for entry in found if entry[0].pattern == text), None)
            if known is None:
                known = (re.compile(text, re.IGNORECASE), {})
                found.append(known)
            known[1][resource.method] = resource
        for entries in self._patterns.values():
            entries.sort(key=lambda entry: entry[0].groups)

    def find(self, method: str, path: str) -> tuple[Resource, tuple[str, ...]]:
        """Raises SalesforceError NOT_FOUND or METHOD_NOT_ALLOWED."""
        path = path.strip("/")
        first = path.partition("/")[0].lower()
        allowed: set[str] = set()
        for pattern, methods in self._patterns.get((path.count("/") + 1, first), ()):
            match = pattern.fullmatch(path)
            if match is None:
                continue
            resource = methods.get("GET" if method == "HEAD" else method)
            if resource is not None:
                return resource, tuple(map(unquote, match.groups()))
            allowed |= set(methods)
        if not allowed:
            raise not_found()
        listed = ", ".join(sorted(allowed))
        text = f"HTTP Method '{method}' not allowed. Allowed are {listed}"
        raise SalesforceError("METHOD_NOT_ALLOWED", text, status=405)


_VERSIONED = re.compile(r"/services/data/v(\d+)\.(\d)(?:/(.*))?$")


def split_version(path: str) -> tuple[float, str]:
    """The API version and the rest of the path. Raises SalesforceError NOT_FOUND."""
    match = _VERSIONED.fullmatch(path)
    if match is None or match[2] != "0" or not OLDEST <= int(match[1]) <= NEWEST:
        raise not_found()
    return float(match[1]), match[3] or ""
