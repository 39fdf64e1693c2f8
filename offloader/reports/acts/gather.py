"""Gathers the report of a plan of acts. Asks neither a CRM nor a store anything."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from offloader.config import Config
from offloader.disposition.kinds import apply_of
from offloader.errors import Refused
from offloader.ledger import Entry, PlanRow
from offloader.ledger.disposing import Act
from offloader.ledger.reporting import ReportRow
from offloader.moves.sealing import PAGE
from offloader.moves.site import Site
from offloader.reports import facts
from offloader.reports.acts import codes
from offloader.reports.acts.model import ActsReport, Line, Tally
from offloader.reports.gather import head, mode_of
from offloader.reports.model import Mode
from offloader.reports.rows import printed

#: different ends that a report tells apart
_MOST_ENDS = 200
_CRM = ("types", "wakes", "bin_days", "clears", "copies")


@dataclass(slots=True)
class _Sums:
    acts: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    rules: defaultdict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    types: defaultdict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    codes: defaultdict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    examples: dict[tuple[str, str], str] = field(default_factory=dict)
    leaves: Counter[str] = field(default_factory=Counter)
    goes: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    unfinished: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, line: Line) -> None:
        self.acts[line.act].add(line)
        if line.rule:
            self.rules[line.rule, line.act].add(line)
        self.types[f"{line.source}/{line.kind}", line.act].add(line)
        self.codes[line.act, line.code].add(line)
        self.examples.setdefault((line.act, line.code), line.reasons[-1][1] if line.reasons else "")
        if line.act not in codes.DOING:
            return
        self.leaves.update(line.at)
        self.goes.update(line.to)
        self.outcomes[line.outcome] += 1
        if line.outcome in codes.UNDONE:
            end = (line.outcome, line.detail)
            room = end in self.unfinished or len(self.unfinished) < _MOST_ENDS
            self.unfinished[end if room else (line.outcome, "")] += 1


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a plan, read in pages; whoever goes through them holds one page at a time."""

    site: Site
    row: PlanRow
    #: print titles; otherwise the beginning of their SHA-256
    names: bool
    run: bool

    def __call__(self) -> Iterator[Line]:
        after = 0
        while page := self.site.ledger.acts(self.row.id, after=after, limit=PAGE):
            after = page[-1].seq
            pks = sorted({pk for act in page if (pk := _document(act)) is not None})
            known = {entry.pk: entry for entry in self.site.ledger.entries_by_pk(pks)} if pks else {}
            for act in page:
                yield self._line(act, known.get(_document(act) or 0))

    def _line(self, act: Act, entry: Entry | None) -> Line:
        body = act.body
        source, kind, id_ = self._where(act, entry)
        reasons = _reasons(act)
        return Line(
            number=act.seq,
            act="hold" if act.body.get("holds") and not self.run else act.act,
            code=reasons[-1][0],
            source=source,
            kind=kind,
            id=id_,
            name=printed(entry.document.title, names=self.names) if entry and entry.document.title else id_,
            bytes=act.size,
            rule=str(body.get("rule") or ", ".join(body.get("rules", ()))),
            reasons=reasons,
            along=tuple(f"{name} {each}" for name, each, _ in body.get("with", ())),
            copied=tuple(
                f"{name} {each}: {', '.join(stores)}"
                for name, each, _, _, _, stores in (body.get("documents", ()) if act.act == "delete" else ())
            ),
            at=_at(body),
            to=tuple(body.get("stores") or body.get("to") or ()),
            outcome=_outcome(act) if self.run else "",
            detail=_detail(act) if self.run else "",
        )

    def _where(self, act: Act, entry: Entry | None) -> tuple[str, str, str]:
        if entry is not None:
            return entry.document.ref.source, entry.document.ref.kind, entry.document.ref.id
        first, _, rest = act.subject.partition("/")
        if first in self.row.header.sources and rest:
            return first, act.part, rest.removeprefix(f"{act.part}/")
        return str(act.body.get("source", "")), act.part, str(act.body.get("mark") or act.subject)


def _document(act: Act) -> int | None:
    """The number in the ledger of the document that an act is about; None for a record."""
    number = act.body.get("document")
    if isinstance(number, int):
        return number
    return int(act.subject) if isinstance(number, str) and act.subject.isdigit() else None


def _reasons(act: Act) -> tuple[tuple[str, str], ...]:
    body = act.body
    if "reasons" in body:
        return tuple((str(code), str(text)) for code, text in body["reasons"])
    why, reason = body.get("why"), str(body.get("reason", ""))
    code = str(body.get("code") or body.get("ground") or (reason if reason in codes.REASONS else act.act))
    found = f"found by {', '.join(why)}" if isinstance(why, list) else why
    said = "; ".join(filter(None, [found, "" if reason in (code, act.act) else reason]))
    held = [("HELD", f"legal hold {', '.join(body['holds'])}")] if body.get("holds") else []
    return ((code, said), *held)


def _at(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The stores that have it now."""
    if "from" in body:
        return tuple(body["from"])
    return tuple(sorted({store for store, _ in body.get("copies", ())} or filter(None, [body.get("store", "")])))


def _outcome(act: Act) -> str:
    return "kept" if act.act not in codes.DOING and act.state in ("open", "skipped") else act.state


def _detail(act: Act) -> str:
    """Why it ended so, without the evidence: that is for the certificate and the event log."""
    try:
        evidence = json.loads(act.detail)
    except ValueError:
        return act.detail
    return str(evidence.get("reason", "")) if isinstance(evidence, dict) else act.detail


def gather(site: Site, config: Config, row: PlanRow, *, names: bool, by: str) -> ActsReport:
    """Everything about a sealed plan of acts. `by` writes the report; `names` prints titles in place of their hashes.

    Raises ConfigError for a kind of plan that is not known here, Refused if the plan is not sealed.
    """
    apply_of(row)
    if row.sha256 is None:
        raise Refused(f"plan {row.id} is {row.status}: only a sealed plan has a report")
    mode, now = mode_of(row.status), site.context.now()
    lines = Lines(site, row, names, mode is Mode.RUN)
    sums = _Sums()
    for line in lines():
        sums.add(line)
    caps = {name: value for name, value in row.header.caps.items() if value and name != "kinds"}
    kinds = {f"kinds.{name}": most for name, most in (row.header.caps.get("kinds") or {}).items()}
    return ActsReport(
        **head(site, config, row, mode, now, by),
        targets=facts.targets(row.header),
        policies=facts.policies(site, config, row.header, {}, now.date()),
        kind=row.header.disposes or "",
        acts=dict(sorted(sums.acts.items(), key=lambda item: item[0] not in codes.DOING)),
        rules=dict(sorted(sums.rules.items())),
        types=dict(sorted(sums.types.items())),
        codes=dict(sums.codes),
        examples=sums.examples,
        leaves=dict(sorted(sums.leaves.items())),
        goes=dict(sorted(sums.goes.items())),
        outcomes=dict(sums.outcomes) if mode is Mode.RUN else {},
        unfinished=dict(sums.unfinished.most_common()) if mode is Mode.RUN else {},
        caps={**caps, **kinds},
        over=tuple(row.totals.get("over", ())),
        crm={name: row.totals[name] for name in _CRM if name in row.totals} if "wakes" in row.totals else {},
        rows=lines,
    )


def note(site: Site, report: ActsReport) -> None:
    """Write into the ledger that the report was written. No report of moves is compared with it."""
    summary = {"kind": report.kind, "acts": {act: tally.count for act, tally in report.acts.items()}}
    site.ledger.record_report(ReportRow(report.id, report.mode, report.plan, report.made_at, summary))
