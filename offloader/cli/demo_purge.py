"""The demo's cleanup: old shipment confirmations and closed cases are planned, approved, archived and deleted; of each
sort one is held, and one comes back. The emulated CRM is asked what is there before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offloader.cli.demo_governance import reported
from offloader.cli.demo_records import STALE, Made, make
from offloader.cli.output import write_plan
from offloader.records import RecordRef

if TYPE_CHECKING:
    from offloader.cli.demo_sandbox import Sandbox
    from offloader.config import Config
    from offloader.ledger import PlanRow
    from offloader.moves.site import Site

_REASON = "I have read what goes and what stays; this is a demonstration."


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What was purged and what was not, as the CRM itself shows it afterwards."""

    plan: str
    approved_by: str
    file: Path
    #: its report before the approval, and afterwards
    reports: tuple[Path, Path]
    #: by sort of records: how many were made, and deleted
    sorts: Mapping[str, tuple[int, int]]
    #: what went with them
    children: int
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
            "reports": [str(report) for report in self.reports],
            "records": sum(made for made, _ in self.sorts.values()),
            "deleted": sum(deleted for _, deleted in self.sorts.values()),
            "sorts": {words: {"records": made, "deleted": deleted} for words, (made, deleted) in self.sorts.items()},
            "children": self.children,
            "archives": list(self.archives),
            "held": list(self.held),
            "restored": list(self.restored),
            "problems": list(self.problems),
            "seconds": round(self.seconds, 3),
        }


def add_rules(policy: Path, sources: Sequence[str]) -> None:
    """Add purge rules for these CRMs to the demo's policy."""
    rules = [stale.rule for stale in STALE if stale.source in sources]
    text = (
        "\n# Shipment confirmations go seven years after their delivery, closed cases after five years.\npurge:\n"
        + "".join(rules)
    )
    policy.write_text(policy.read_text(encoding="utf-8") + text, encoding="utf-8")


def clean_up(site: Site, config: Config, crms: Mapping[str, Sandbox]) -> Cleanup:
    """Make stale records, purge those that are old, and look what is left."""
    from offloader.disposition.planning import plan_purge  # noqa: PLC0415
    from offloader.disposition.purging import apply_purge  # noqa: PLC0415
    from offloader.disposition.reviving import revive  # noqa: PLC0415
    from offloader.moves.approving import Said, approve  # noqa: PLC0415

    started = site.context.monotonic()
    made = [make(site, stale, crms[stale.source]) for stale in STALE if stale.source in site.sources]
    held = tuple(_hold(site, each.refs[0]) for each in made)
    row = plan_purge(site)
    file, before = _written(site, config, row), reported(site, config, row.id)
    key = (config.directory / "officer.key").read_text(encoding="ascii")
    approval = approve(site, row.id, Said.APPROVED, _REASON, key=key)
    report = apply_purge(site, row.id)
    left = [_there(site, each.refs) for each in made]
    revived = revive(site, [str(each.refs[1]) for each in made])
    back = [ref for each in made for ref in _there(site, [_as_it_is(revived.ids, each.refs[1])])]
    person = site.people.persons[approval.person]
    sorts: dict[str, tuple[int, int]] = {}
    for each, there in zip(made, left, strict=True):
        count, gone = sorts.get(each.stale.words, (0, 0))
        sorts[each.stale.words] = (count + len(each.refs), gone + len(each.refs) - len(there))
    return Cleanup(
        plan=row.id,
        approved_by=f"{person.name}, {person.role}",
        file=file,
        reports=(before, reported(site, config, row.id)),
        sorts=sorts,
        children=sum(each["children"] for each in row.totals["rules"].values()),
        archives=_archives(site, row),
        held=held,
        restored=tuple(map(str, back)),
        problems=(
            *(problem for pair in zip(made, left, strict=True) for problem in _problems(*pair)),
            *([f"{len(made) - len(back)} records did not come back"] if len(back) != len(made) else []),
            *([report.stopped] if report.stopped else ()),
        ),
        lines=(*report.lines, *revived.notes),
        seconds=site.context.monotonic() - started,
    )


def _hold(site: Site, ref: RecordRef) -> str:
    from offloader.holds import Scope  # noqa: PLC0415
    from offloader.moves.matters import add  # noqa: PLC0415

    scope = Scope(records=(f"{ref.type}:{ref.id}",))
    add(site, matter="Demonstration", scope=scope, reason="somebody may sue over this")
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


def _there(site: Site, refs: Sequence[RecordRef]) -> list[RecordRef]:
    """Those of one source that the CRM shows."""
    return [record.ref for record in site.records(refs[0].source).fetch(refs) if record]


def _as_it_is(ids: Mapping[str, str], ref: RecordRef) -> RecordRef:
    return RecordRef(*ids.get(str(ref), str(ref)).split("/", 2))


def _problems(made: Made, left: Sequence[RecordRef]) -> list[str]:
    found = [f"{ref}: should have been purged" for ref in made.refs if ref in left and ref not in made.staying]
    return found + [f"{ref}: had to stay, and is gone" for ref in made.refs if ref not in left and ref in made.staying]


def lines_of(cleanup: Cleanup) -> list[str]:
    """The same for a person."""
    good = "✗" if cleanup.problems else "✓"
    purged = " and ".join(f"{deleted} of {made} {words}" for words, (made, deleted) in cleanup.sorts.items())
    return [
        "",
        f"  Purged    {purged}, with {cleanup.children} records on them",
        f"  Approved  by {cleanup.approved_by}",
        f"  Plan      {cleanup.file}",
        *(f"  Report    {report}" for report in cleanup.reports),
        *(f"  Archive   {name}" for name in cleanup.archives),
        *(f"  {line}" for line in cleanup.lines),
        *(f"  {good} kept by a legal hold: {name}" for name in cleanup.held),
        *(f"  {good} purged, and brought back: {name}" for name in cleanup.restored),
        *(f"  ! {problem}" for problem in cleanup.problems[:20]),
    ]
