"""Several calls in one: composite, graph, batch, tree ("Composite Resources", REST API guide)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from offloader_connectors.emulation.wire import Answer, Request
from offloader_connectors.salesforce.emulator.calls import Call
from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.resolve import child_relations
from offloader_connectors.salesforce.emulator.schema import SObject

MAX_CALLS, MAX_HEAVY, MAX_NODES, MAX_TREE = 25, 5, 500, 200
_REFERENCE = re.compile(r"@\{([A-Za-z0-9_]+)((?:\[\d+\]|\.[A-Za-z0-9_]+)*)\}")
_STEP = re.compile(r"\[(\d+)\]|\.([A-Za-z0-9_]+)")
_TOO_MANY = (
    f"The request can't contain more than {MAX_CALLS} operations. Reduce the number of operations and try again."
)
_HALTED = "The transaction was rolled back since another operation in the same transaction failed."


class _RollBack(Exception):
    """One call of an all-or-none series failed."""


class _Series:
    """One list of subrequests that may refer to each other's answers."""

    def __init__(self, call: Call, requests: Sequence[Any]) -> None:
        self._call = call
        self._requests = requests
        self._bodies: dict[str, Any] = {}
        self.results: list[dict[str, Any]] = []

    def check(self) -> None:
        """Raises SalesforceError for a malformed list or one over the caps."""
        seen: set[str] = set()
        heavy = 0
        for request in self._requests:
            names = ("method", "url", "referenceId")
            if not isinstance(request, dict) or not all(isinstance(request.get(name), str) for name in names):
                raise SalesforceError("JSON_PARSER_ERROR", "Each subrequest needs method, url and referenceId.")
            if not re.fullmatch(r"[A-Za-z0-9_]+", request["referenceId"]) or request["referenceId"] in seen:
                text = f"The referenceId '{request['referenceId']}' must be unique and have letters, digits and _ only."
                raise SalesforceError("INVALID_INPUT", text)
            seen.add(request["referenceId"])
            path = request["url"].partition("?")[0].lower()
            heavy += "/composite/sobjects" in path or "/query" in path or "/composite/tree" in path
        if len(self._requests) > MAX_CALLS:
            text = _TOO_MANY
            raise SalesforceError("INVALID_INPUT", text)
        if heavy > MAX_HEAVY:
            text = f"The request can't contain more than {MAX_HEAVY} sObject Collections or query operations."
            raise SalesforceError("INVALID_INPUT", text)

    def run(self, *, all_or_none: bool) -> bool:
        """Carry the series out; true if nothing was rolled back."""
        try:
            with self._call.app.org.store.transaction():
                for request in self._requests:
                    self._one(request)
                if all_or_none and any(result["httpStatusCode"] >= 400 for result in self.results):
                    raise _RollBack
        except _RollBack:
            self._halt()
            return False
        return True

    def _halt(self) -> None:
        for result in self.results:
            if result["httpStatusCode"] < 400:
                result["body"] = [{"errorCode": "PROCESSING_HALTED", "message": _HALTED}]
                result["httpHeaders"], result["httpStatusCode"] = {}, 400

    def _one(self, request: Mapping[str, Any]) -> None:
        reference = request["referenceId"]
        try:
            url = self._filled(request["url"])
            body = self._filled(request.get("body"))
            inner = Request.inner(request["method"], url, body, request.get("httpHeaders") or {})
            answer = self._call.app.inner(self._call, inner)
        except SalesforceError as error:
            answer = Answer(error.status, error.top_level())
        if answer.status < 400:
            self._bodies[reference] = answer.data
        shown = {"body": answer.data, "httpHeaders": dict(answer.headers), "httpStatusCode": answer.status}
        self.results.append({**shown, "referenceId": reference})

    def _filled(self, value: Any) -> Any:
        """The value with every `@{reference.field}` replaced. Raises SalesforceError PROCESSING_HALTED."""
        if isinstance(value, str) and "@{" in value:
            whole = _REFERENCE.fullmatch(value)
            if whole:
                return self._looked_up(whole)
            return _REFERENCE.sub(lambda match: str(self._looked_up(match)), value)
        if isinstance(value, dict):
            return {name: self._filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        return value

    def _looked_up(self, match: re.Match[str]) -> Any:
        reference, path = match[1], match[2]
        text = f"Invalid reference specified. No value for {reference}{path} found in {reference}"
        if path.startswith("[") and not self._call.app.org.options.array_references:
            raise SalesforceError("PROCESSING_HALTED", text)
        try:
            value = self._bodies[reference]
            for step in _STEP.finditer(path):
                value = value[int(step[1])] if step[1] is not None else value[step[2]]
        except (KeyError, IndexError, TypeError):
            raise SalesforceError("PROCESSING_HALTED", text) from None
        return value


def composite(call: Call) -> Answer:
    body = call.fields()
    requests = body.get("compositeRequest")
    if not isinstance(requests, list):
        raise SalesforceError("JSON_PARSER_ERROR", "compositeRequest is required.")
    series = _Series(call, requests)
    series.check()
    series.run(all_or_none=bool(body.get("allOrNone", False)))
    return Answer(data={"compositeResponse": series.results})


def graph(call: Call) -> Answer:
    graphs = call.fields().get("graphs")
    if not isinstance(graphs, list) or not all(isinstance(item, dict) for item in graphs):
        raise SalesforceError("JSON_PARSER_ERROR", "graphs is required.")
    if sum(len(item.get("compositeRequest") or []) for item in graphs) > MAX_NODES:
        raise SalesforceError("LIMIT_EXCEEDED", f"A payload has at most {MAX_NODES} nodes.")
    answered = []
    for item in graphs:
        series = _Series(call, item.get("compositeRequest") or [])
        whole = series.run(all_or_none=True)
        response = {"compositeResponse": series.results}
        answered.append({"graphId": item.get("graphId"), "graphResponse": response, "isSuccessful": whole})
    return Answer(data={"graphs": answered})


def batch(call: Call) -> Answer:
    """Independent calls, each counted against the limits."""
    body = call.fields()
    requests = body.get("batchRequests")
    if not isinstance(requests, list) or not all(isinstance(item, dict) for item in requests):
        raise SalesforceError("JSON_PARSER_ERROR", "batchRequests is required.")
    if len(requests) > MAX_CALLS:
        text = _TOO_MANY
        raise SalesforceError("INVALID_INPUT", text)
    call.app.limits.add("requests", max(0, len(requests) - 1))
    results: list[dict[str, Any]] = []
    for item in requests:
        if body.get("haltOnError") and any(result["statusCode"] >= 400 for result in results):
            halted = [{"errorCode": "BATCH_PROCESSING_HALTED", "message": "Batch processing halted per request"}]
            results.append({"statusCode": 412, "result": halted})
            continue
        url = str(item.get("url", "")).lstrip("/")
        url = f"/{url}" if url.startswith("services/data/") else f"/services/data/{url}"
        answer = call.app.inner(call, Request.inner(str(item.get("method", "GET")), url, item.get("richInput"), {}))
        results.append({"statusCode": answer.status, "result": answer.data})
    return Answer(data={"hasErrors": any(result["statusCode"] >= 400 for result in results), "results": results})


def tree(call: Call) -> Answer:
    """Create records with their children, all or none."""
    sobject, body = call.sobject(call.args[0]), call.fields()
    results: list[dict[str, Any]] = []
    try:
        with call.app.org.store.transaction():
            _plant(call, sobject, body.get("records") or [], None, results)
            if any("errors" in result for result in results):
                raise _RollBack
    except _RollBack:
        return Answer(400, {"hasErrors": True, "results": [result for result in results if "errors" in result]})
    return Answer(201, {"hasErrors": False, "results": results})


def _plant(
    call: Call,
    sobject: SObject,
    records: Sequence[Mapping[str, Any]],
    parent: tuple[str, str] | None,
    results: list[dict[str, Any]],
) -> None:
    for record in records:
        if len(results) >= MAX_TREE:
            raise SalesforceError("LIMIT_EXCEEDED", f"A tree has at most {MAX_TREE} records.")
        reference = (record.get("attributes") or {}).get("referenceId")
        nested = {name: value for name, value in record.items() if isinstance(value, dict) and "records" in value}
        fields = {name: value for name, value in record.items() if name not in nested}
        if parent:
            fields[parent[0]] = parent[1]
        try:
            new = call.app.writer.insert(sobject, fields, call.actor)
        except SalesforceError as error:
            results.append({"referenceId": reference, "errors": error.item()["errors"]})
            continue
        results.append({"referenceId": reference, "id": new})
        for name, children in nested.items():
            relation = child_relations(sobject.name).get(name.lower())
            if relation is None:
                raise SalesforceError("INVALID_FIELD", f"No such relationship '{name}' on {sobject.name}")
            _plant(call, call.sobject(relation[1]), children["records"], (relation[2], new), results)
