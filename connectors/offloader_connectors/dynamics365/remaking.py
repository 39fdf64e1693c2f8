"""Placeholders that went with their records, once these are back: rows are made again, under the ids that they had.

A row is created only where none of its id stands, so it can never be made twice, and never over what somebody has put
there (Web API guide, "Perform conditional operations"; table reference, annotation and activitymimeattachment).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from offloader.errors import AuthError, Conflict, OffloaderError, Permanent
from offloader.model import Parent
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors.dynamics365 import odata, places, standing, stub, stubbing, trouble
from offloader_connectors.dynamics365.api import Answer, Api, Part
from offloader_connectors.dynamics365.batch import MOST_PARTS
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.forms import ALL_BLOCKED, Forms
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.places import NOTES, Shelf
from offloader_connectors.dynamics365.rows import Row
from offloader_connectors.dynamics365.standing import Standing
from offloader_connectors.placeholder import Form

_ANOTHER = Outcome(status=Status.CONFLICT, reason=stubbing.PUT_BACK)
_NOWHERE = Outcome(status=Status.GONE, reason="nothing says which row stood on the record")


@dataclass(slots=True)
class _Making:
    """One row on its way. `owners`: addresses of who is to own it, best first; "" for the application user."""

    request: LinkRequest
    shelf: Shelf
    row: str
    parent: Parent
    set_name: str
    forms: tuple[Form, ...]
    owners: list[str] = field(default_factory=lambda: [""])
    outcome: Outcome | None = None

    def part(self, headers: Mapping[str, str]) -> Part:
        document = self.request.document
        made = stub.make(self.forms[0], document.current.name, self.request.link)
        body: dict[str, Any] = {
            "filename": made.name,
            "mimetype": made.mime,
            self.shelf.body: base64.b64encode(made.body).decode("ascii"),
            f"objectid_{self.parent.type}@odata.bind": f"/{odata.record(self.set_name, self.parent.id)}",
        }
        if document.ref.kind == NOTES:
            body["subject"] = document.extra.get("subject")
        else:
            body["objecttypecode"] = self.parent.type
        if self.owners[0]:
            body["ownerid@odata.bind"] = self.owners[0]
        path = f"{odata.record(self.shelf.set_name, self.row)}?$select={','.join(self.shelf.described[1:])}"
        all_headers = {"If-None-Match": "*", "Prefer": "return=representation", **headers}
        return Part("PATCH", path, body, all_headers, operation=f"create.{self.shelf.table}")


class Remaker:
    """Makes rows again. Thread-safe."""

    def __init__(self, api: Api, environment: Environment, options: DynamicsOptions) -> None:
        self._api = api
        self._environment = environment
        self._standing = Standing(api)
        self._forms = Forms(environment, options)
        self._headers = stubbing.write_headers(options)

    def link(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Make what is missing on the documents' parents, in order: REPLACED, or CONFLICT where another file stands."""
        wanted = [_rows(each) for each in requests]
        there = self._there(requests, wanted)
        forms = self._forms.open()
        makings: dict[int, list[_Making]] = {}
        outcomes: dict[int, Outcome] = {}
        for number, (request, rows) in enumerate(zip(requests, wanted, strict=True)):
            found = [there[row] for row in rows if row in there]
            if not rows:
                outcomes[number] = _NOWHERE
            elif not all(standing.ours(row, request.document, request.link) for row in found):
                outcomes[number] = _ANOTHER
            elif not forms:
                outcomes[number] = Outcome(status=Status.REFUSED, reason=ALL_BLOCKED)
            else:
                missing = {row: parent for row, parent in rows.items() if row not in there}
                makings[number] = [self._making(request, row, parent, forms) for row, parent in missing.items()]
        self._make([each for group in makings.values() for each in group])
        return [outcomes.get(n) or _settled(each, makings[n]) for n, each in enumerate(requests)]

    def _there(self, requests: Sequence[LinkRequest], wanted: Sequence[Mapping[str, Parent]]) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for kind, shelf in places.ROWS.items():
            pairs = zip(requests, wanted, strict=True)
            found |= self._standing.read(
                shelf, [row for each, rows in pairs if each.document.ref.kind == kind for row in rows]
            )
        return found

    def _making(self, request: LinkRequest, row: str, parent: Parent, forms: tuple[Form, ...]) -> _Making:
        shelf = places.ROWS[request.document.ref.kind]
        made = _Making(request, shelf, row, parent, self._environment.table(parent.type).set_name, forms)
        owner = request.document.owner
        if shelf is places.NOTE_ROWS and owner is not None:
            made.owners = [f"/{odata.record('systemusers', odata.guid(owner))}", ""]
        return made

    def _make(self, makings: Sequence[_Making]) -> None:
        while waiting := [each for each in makings if each.outcome is None]:
            for some in odata.chunks(waiting, MOST_PARTS):
                answers = self._api.batch("batch", [each.part(self._headers) for each in some])
                for making, answer in zip(some, answers, strict=True):
                    self._judge(making, answer)

    def _judge(self, making: _Making, answer: Answer) -> None:
        """Settle a row that was made, or choose what to try next."""
        error = answer.error()
        if error is None:
            making.outcome = _read_back(making, answer)
        elif trouble.code_of(error) == trouble.BLOCKED_FILE:
            self._forms.refuse(making.forms[0])
            making.forms = making.forms[1:]
            if not making.forms:
                making.outcome = Outcome(status=Status.REFUSED, reason=ALL_BLOCKED)
        elif _final(error) and len(making.owners) > 1:
            making.owners.pop(0)
        else:
            status = (
                Status.REFUSED if _final(error) else Status.CONFLICT if isinstance(error, Conflict) else Status.RETRY
            )
            making.outcome = Outcome(status=status, reason=str(error))


def _final(error: OffloaderError) -> bool:
    return isinstance(error, Permanent) and not isinstance(error, AuthError | Conflict)


def _rows(request: LinkRequest) -> dict[str, Parent]:
    """The rows that stood on the parents, each with its parent."""
    document = request.document
    if document.ref.kind == NOTES:
        return {odata.guid(document.ref.id): parent for parent in document.parents[:1]}
    return {odata.guid(row): parent for parent in document.parents for row in parent.sharing.get("row", "").split()}


def _read_back(making: _Making, answer: Answer) -> Outcome:
    good = isinstance(answer.body, Mapping) and standing.ours(
        answer.record(), making.request.document, making.request.link
    )
    return (
        Outcome(status=Status.REPLACED) if good else Outcome(status=Status.RETRY, reason="it cannot be read back yet")
    )


def _settled(request: LinkRequest, makings: Sequence[_Making]) -> Outcome:
    """What became of a document, by what became of its missing rows."""
    failed = next(
        (each.outcome for each in makings if each.outcome and each.outcome.status is not Status.REPLACED), None
    )
    if failed is not None:
        return failed
    known = {*places.rows_of(request.document, request.link_ref), *_rows(request)}
    return Outcome(status=Status.REPLACED, link_ref={"rows": " ".join(sorted(known))})
