"""The seal on a plan: what its hash is over, the plan as a file, and what makes `apply` refuse it.

The hash is over the header and a line for each document, in the plan's order, as the file has them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from offloader.errors import ConfigError, Drift, Permanent
from offloader.ledger import Entry, PlanHeader, PlanItem, PlanRow, VersionEntry
from offloader.ledger.codec import header_fields, item
from offloader.model import State, Verdict
from offloader.moves.caps import terms_of
from offloader.moves.proofs import changes
from offloader.moves.site import Site

#: documents at once: what a page holds in memory, and how many share a commit
PAGE = 2000
#: differences that a refusal names
NAMED = 5
_LONGEST = 120
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def canonical(value: Any) -> bytes:
    """Canonical JSON in UTF-8, as a plan's header is hashed and written."""
    return _encode(value).encode("utf-8", "surrogatepass")


class Seal:
    """A plan's hash while the plan is made or read: `line` each document, in order."""

    def __init__(self, header: PlanHeader) -> None:
        self._sha256 = hashlib.sha256(canonical(header_fields(header)))

    def lines(self, texts: Iterable[str]) -> None:
        self._sha256.update("".join(f"{text}\n" for text in texts).encode("ascii"))

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


def live(entry: Entry) -> list[VersionEntry]:
    """The versions that the document still has."""
    return [version for version in entry.versions if not version.gone]


def plan_of(site: Site, plan_id: str) -> PlanRow:
    """The plan with this id. Raises ConfigError if the ledger has none."""
    try:
        return site.ledger.plan(plan_id)
    except Permanent as error:
        raise ConfigError(f"the ledger has no plan {plan_id!r}; `offloader status` lists the plans") from error


def _lines(site: Site, plan_id: str) -> Iterator[Sequence[tuple[int, int, str]]]:
    after = 0
    while rows := site.ledger.plan_lines(plan_id, after=after, limit=PAGE):
        after = rows[-1][0]
        yield rows


def decisions_of(site: Site, plan_id: str) -> Iterator[Sequence[tuple[Entry, PlanItem]]]:
    """The plan's items with their documents as the ledger knows them now, a page at a time."""
    for rows in _lines(site, plan_id):
        entries = site.ledger.entries_by_pk([document for _, document, _ in rows])
        yield [(entry, item(document, line)) for entry, (_, document, line) in zip(entries, rows, strict=True)]


def export_plan(site: Site, plan_id: str) -> Iterator[bytes]:
    """The plan as JSON Lines: a header line, then a line per document."""
    row = plan_of(site, plan_id)
    value = {"plan": plan_id, "sha256": row.sha256, "totals": row.totals, **header_fields(row.header)}
    yield canonical(value) + b"\n"
    for rows in _lines(site, plan_id):
        for _, _, line in rows:
            yield line.encode("ascii") + b"\n"


def check_drift(site: Site, plan_id: str) -> None:
    """Raise Drift, saying what differs, when a sealed plan no longer fits the world or was edited."""
    row = plan_of(site, plan_id)
    found = list(world_changes(site, row.header))
    seal, verdicts, moved = Seal(row.header), Counter[str](), 0
    for rows in _lines(site, plan_id):
        seal.lines(line for _, _, line in rows)
        entries = site.ledger.entries_by_pk([document for _, document, _ in rows])
        for entry, (_, document, line) in zip(entries, rows, strict=True):
            planned = item(document, line)
            verdicts[planned.decision.verdict] += 1
            moved += planned.size if planned.decision.verdict is Verdict.MOVE and planned.decision.store else 0
            change = _changed(entry, planned)
            if change:
                found.append(f"{entry.document.ref} {change}")
    if seal.hexdigest() != row.sha256:
        found.append("the plan itself is not what was sealed")
    elif dict(verdicts) != row.totals["verdicts"] or moved != row.totals["bytes"]:
        found.append("the plan's totals are not those of its documents")
    if found:
        more = f", and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise Drift(
            f"plan {plan_id} is refused: {'; '.join(found[:NAMED])}{more}. Make a new one with `offloader plan`."
        )


def world_changes(site: Site, header: PlanHeader) -> Iterator[str]:
    """What is otherwise in the policies and the stores' places than when a plan was made, in words."""
    yield from _policy_changes(site, header)
    yield from _proof_changes(site, header)


def _policy_changes(site: Site, header: PlanHeader) -> Iterator[str]:
    for source, fingerprint in header.policies.items():
        policy = site.policies.get(source)
        if policy is None:
            yield f"the policy of {source} is not configured any more"
            continue
        was, now = header.terms.get(source, {}), terms_of(policy)
        details = list(_term_changes(was, now)) if was else []
        if policy.fingerprint != fingerprint or details:
            yield f"the policy of {source} changed" + (f" ({', '.join(details)})" if details else "")


def _term_changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in ("name", "version"):
        if was[name] != now[name]:
            yield f"its {name} was {_short(was[name])}, is {_short(now[name])}"
    layers = [dict(map(tuple, terms["layers"])) for terms in (was, now)]
    for what, (before, after) in {"file": layers, "table": (was["tables"], now["tables"])}.items():
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                yield f"its {what} {name} was {_short(before.get(name))}, is {_short(after.get(name))}"


def _proof_changes(site: Site, header: PlanHeader) -> Iterator[str]:
    for target in site.targets():
        for change in changes(header.proofs.get(target.store), target.proof):
            yield f"the location proof of {target.store}: {change}"


def _changed(entry: Entry, planned: PlanItem) -> str:
    """How a later scan found the document otherwise: its content, or (back to be decided) its parents or facts."""
    states = {version.state for version in live(entry)}
    if states <= {State.DONE, State.RESTORED}:
        return ""
    ids = tuple(version.version.id for version in live(entry))
    if planned.version_ids and ids != planned.version_ids:
        return f"changed since the plan: it has {len(ids)} versions, {planned.versions} were planned"
    if entry.document.etag != planned.etag:
        return "changed since the plan: its mark in the CRM is another one"
    if planned.decision.verdict is Verdict.MOVE and State.SEEN in states:
        return "changed since the plan: its records or other facts, it has to be decided again"
    return ""


def check_file(
    site: Site, plan_id: str, lines: Iterable[bytes], export: Callable[[Site, str], Iterator[bytes]] = export_plan
) -> None:
    """Raise Drift, naming the first line that differs, unless these are the lines of the sealed plan."""
    for number, (sealed, given) in enumerate(itertools.zip_longest(export(site, plan_id), lines), 1):
        if sealed is None or given is None or sealed.rstrip(b"\n") != given.rstrip(b"\r\n"):
            raise Drift(f"the file is not plan {plan_id} as it was sealed: {_difference(number, sealed, given)}")


def _difference(number: int, sealed: bytes | None, given: bytes | None) -> str:
    if sealed is None:
        return f"line {number} is one too many"
    was = json.loads(sealed)
    name = was.get("subject") or f"{was.get('source')}/{was.get('kind')}/{was.get('id')}"
    what = "the header" if number == 1 else name
    if given is None:
        return f"line {number} ({what}) is missing"
    try:
        now = json.loads(given)
    except (ValueError, RecursionError):
        now = None
    if not isinstance(now, dict):
        return f"line {number} ({what}) cannot be read"
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            return f"line {number} ({what}): {_short(name)} was {_short(was.get(name))}, is {_short(now.get(name))}"
    return f"line {number} ({what}) is written otherwise"


def _short(value: Any) -> str:
    if value is None:
        return "not there"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
