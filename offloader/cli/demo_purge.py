"""The demo's cleanup: old shipment confirmations are planned, approved, archived and deleted; one is held, one comes
back. The emulated CRM is asked what is there before and after."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offloader.cli.output import write_plan
from offloader.errors import OffloaderError
from offloader.ports import Status
from offloader.records import Record, RecordRef

if TYPE_CHECKING:
    from offloader.config import Config
    from offloader.ledger import PlanRow
    from offloader.moves.site import Site

#: of each CRM: records that are old enough to go, and such as are not
OLD, YOUNG = 8, 4
_REASON = "I have read what goes and what stays; this is a demonstration."
_RULE = """\
  - id: {source}-shipments
    type: {type}
    sources: [{source}]
    age_field: {age}
    older_than: P7Y
    signals: {{country: {country}}}
"""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a CRM keeps its shipment confirmations."""

    type: str
    name: str
    age: str
    country: str

    def fields(self, number: int, delivered: datetime) -> dict[str, Any]:
        return {self.name: f"Shipment {number}", self.country: "Netherlands", self.age: self.when(delivered)}

    def when(self, moment: datetime) -> str:
        return f"{moment:%Y-%m-%d}" if self.age.endswith("__c") else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


_KINDS: Mapping[str, _Kind] = {
    "salesforce": _Kind("Shipment_Confirmation__c", "Name", "Delivered_On__c", "Country__c"),
    "dynamics365": _Kind("new_shipment", "new_name", "new_due", "new_country"),
}


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What was purged and what was not, as the CRM itself shows it afterwards."""

    plan: str
    approved_by: str
    file: Path
    made: int
    deleted: int
    #: "STORE:KEY" of each file of the archive
    archives: tuple[str, ...]
    #: "SOURCE/TYPE/ID": what a hold kept, and what came back, under its old or a new id
    held: tuple[str, ...]
    restored: tuple[str, ...]
    #: by record, what is not as it must be
    problems: tuple[str, ...]
    lines: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan,
            "approved_by": self.approved_by,
            "file": str(self.file),
            "records": self.made,
            "deleted": self.deleted,
            "archives": list(self.archives),
            "held": list(self.held),
            "restored": list(self.restored),
            "problems": list(self.problems),
            "seconds": round(self.seconds, 3),
        }


def add_rules(policy: Path, sources: Sequence[str]) -> None:
    """Add purge rules for these CRMs to the demo's policy."""
    rules = [
        _RULE.format(source=source, type=kind.type, age=kind.age, country=kind.country)
        for source, kind in _KINDS.items()
        if source in sources
    ]
    text = "\n# Shipment confirmations go seven years after their delivery.\npurge:\n" + "".join(rules)
    policy.write_text(policy.read_text(encoding="utf-8") + text, encoding="utf-8")


def clean_up(site: Site, config: Config) -> Cleanup:
    """Make shipment confirmations, purge those that are old, and look what is left."""
    from offloader.disposition.planning import plan_purge  # noqa: PLC0415
    from offloader.disposition.purging import apply_purge  # noqa: PLC0415
    from offloader.disposition.reviving import revive  # noqa: PLC0415
    from offloader.moves.approving import Said, approve  # noqa: PLC0415

    started = site.context.monotonic()
    sources = [source for source in _KINDS if source in site.sources]
    made = {source: _made(site, source) for source in sources}
    held = tuple(_hold(site, refs[0]) for refs in made.values())
    row = plan_purge(site)
    file = _written(site, config, row)
    key = (config.directory / "officer.key").read_text(encoding="ascii")
    approval = approve(site, row.id, Said.APPROVED, _REASON, key=key)
    report = apply_purge(site, row.id)
    left = _left(site, made)
    deleted = sum(len(refs) for refs in made.values()) - len(left)
    revived = revive(site, [str(refs[1]) for refs in made.values()])
    now_there = _left(site, {source: [RecordRef(*_ref(revived.ids, refs[1]))] for source, refs in made.items()})
    person = site.people.persons[approval.person]
    return Cleanup(
        plan=row.id,
        approved_by=f"{person.name}, {person.role}",
        file=file,
        made=sum(len(refs) for refs in made.values()),
        deleted=deleted,
        archives=_archives(site, row),
        held=held,
        restored=tuple(map(str, now_there)),
        problems=(
            *_problems(made, left, len(now_there)),
            *([report.stopped] if report.stopped else ()),
        ),
        lines=(*report.lines, *revived.notes),
        seconds=site.context.monotonic() - started,
    )


def _made(site: Site, source: str) -> list[RecordRef]:
    """The oldest first."""
    kind, now = _KINDS[source], site.context.now()
    records = []
    for number in range(OLD + YOUNG):
        years = 12 - number / 2 if number < OLD else 1
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"offloader demo, shipment {number}"))
        fields = kind.fields(number, now - timedelta(days=366 * years))
        records.append(Record(ref=RecordRef(source, kind.type, name), etag="", modified=None, fields=fields))
    refs = []
    for outcome in site.records(source).create(records):
        if outcome.status is not Status.DONE or outcome.ref is None:
            raise OffloaderError(f"the emulated {source} takes no shipment confirmation: {outcome.reason}")
        refs.append(outcome.ref)
    return refs


def _hold(site: Site, ref: RecordRef) -> str:
    from offloader.holds import Scope  # noqa: PLC0415
    from offloader.moves.matters import add  # noqa: PLC0415

    scope = Scope(records=(f"{ref.type}:{ref.id}",))
    add(site, matter="Demonstration", scope=scope, reason="somebody may sue over this shipment")
    return str(ref)


def _written(site: Site, config: Config, row: PlanRow) -> Path:
    from offloader.disposition.acts import export_acts  # noqa: PLC0415

    folder = config.directory / "reports"
    folder.mkdir(exist_ok=True)
    file = folder / f"{row.id}.jsonl"
    write_plan(file, export_acts(site, row.id))
    return file


def _archives(site: Site, row: PlanRow) -> tuple[str, ...]:
    from offloader.disposition.archive import PREFIX  # noqa: PLC0415

    stores = sorted(row.totals["stores"])
    return tuple(f"{store}:{key}" for store in stores for key, _ in site.stores[store].list(PREFIX))


def _left(site: Site, refs: Mapping[str, Sequence[RecordRef]]) -> list[RecordRef]:
    """Those that the CRM shows."""
    found = []
    for source, mine in refs.items():
        records = site.records(source)
        for start in range(0, len(mine), records.batch):
            found += [record.ref for record in records.fetch(mine[start : start + records.batch]) if record]
    return found


def _ref(ids: Mapping[str, str], ref: RecordRef) -> tuple[str, str, str]:
    source, kind, name = ids.get(str(ref), str(ref)).split("/", 2)
    return source, kind, name


def _problems(made: Mapping[str, Sequence[RecordRef]], left: Sequence[RecordRef], restored: int) -> list[str]:
    found = []
    for refs in made.values():
        stays = {refs[0], *refs[OLD:]}
        found += [f"{ref}: should have been purged" for ref in refs if ref in left and ref not in stays]
        found += [f"{ref}: had to stay, and is gone" for ref in refs if ref not in left and ref in stays]
    if restored != len(made):
        found.append(f"{len(made) - restored} records did not come back")
    return found


def lines_of(cleanup: Cleanup) -> list[str]:
    """The same for a person."""
    good = "✗" if cleanup.problems else "✓"
    return [
        "",
        f"  Purged    {cleanup.deleted} of {cleanup.made} shipment confirmations, approved by {cleanup.approved_by}",
        f"  Plan      {cleanup.file}",
        *(f"  Archive   {name}" for name in cleanup.archives),
        *(f"  {line}" for line in cleanup.lines),
        *(f"  {good} kept by a legal hold: {name}" for name in cleanup.held),
        *(f"  {good} purged, and brought back: {name}" for name in cleanup.restored),
        *(f"  ! {problem}" for problem in cleanup.problems[:20]),
    ]
