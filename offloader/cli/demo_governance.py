"""The demo's officer: a written policy, a dry-run report, an approval by a second person, and the report afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from offloader import signing

if TYPE_CHECKING:
    from offloader.config import Config
    from offloader.moves.report import RunReport
    from offloader.moves.site import Site
    from offloader.plugins import Context

OFFICER = "officer"
_KEYS = {OFFICER: "officer.key", "audit": "audit.key"}
_REASON = "I have read the dry-run report; this is a demonstration."
_POLICY = """\
# The policy of the demo. Not legal advice.
policy: demonstration
version: "1"
extends: [packs/eu-baseline]

# Every document may leave the CRM; where to, the law of its records' countries says.
clauses:
  - id: archive
    select: {everything: true}
    then: move

# A second person reads the dry-run report before anything is moved.
approvals:
  people: 1
  preparer: false
exceptions:
  owner: Data-protection officer
  days: 30
processing:
  processing_name: Archiving of CRM documents
  controller: Example Logistics B.V., Rotterdam
  dpo_contact: dpo@example.com
  purposes: [Storage in the permitted countries, Lower storage cost]
  legal_basis: GDPR Article 6(1)(f)
  data_subject_categories: [customers, contacts of customers]
  data_categories: [correspondence, invoices, contracts]
"""


@dataclass(frozen=True, slots=True)
class Governed:
    """A run that was approved before it began, and what was written down about it."""

    report: RunReport
    #: the dry-run report and the run report, as HTML
    files: tuple[Path, ...]
    #: who approved, as reports print it
    approved_by: str


def govern(path: Path, context: Context, *, home: str) -> None:
    """Give a sandbox's configuration a policy in a file, two people, an audit key, and a CRM that is in `home`."""
    directory = path.parent
    for name in _KEYS.values():
        key = directory / name
        key.write_text(signing.new_key() + "\n", encoding="ascii")
        key.chmod(0o600)
    (directory / "policy.yaml").write_text(_POLICY, encoding="utf-8")
    yaml = YAML(typ="safe", pure=True)
    value = yaml.load(path.read_text(encoding="utf-8"))
    value["policies"] = {"demonstration": {"type": "file", "path": "policy.yaml"}}
    value["people"] = {
        "operator": {"name": "The operator of this demo", "role": "administrator", "login": context.account},
        OFFICER: {
            "name": "A made-up officer",
            "role": "data-protection officer",
            "public_key": signing.public_key((directory / _KEYS[OFFICER]).read_text(encoding="ascii")),
        },
    }
    value["audit"] = {"key": f"file:{_KEYS['audit']}"}
    value["reports"] = {"organisation": "Example Logistics B.V.", "environment": "demonstration"}
    for source in value["sources"].values():
        source["held_in"] = [home]
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(value, file)


def approved_run(site: Site, config: Config) -> Governed:
    """Scan and plan; report; have the officer approve; carry out; report again."""
    from offloader.moves.apply import apply_plan  # noqa: PLC0415
    from offloader.moves.approving import Said, approve  # noqa: PLC0415
    from offloader.moves.run import run  # noqa: PLC0415

    waiting = run(site)
    if waiting.plan is None:
        return Governed(waiting, (), "")
    before = reported(site, config, waiting.plan)
    key = (config.directory / _KEYS[OFFICER]).read_text(encoding="ascii")
    approval = approve(site, waiting.plan, Said.APPROVED, _REASON, key=key)
    report = apply_plan(site, waiting.plan)
    report.seconds += waiting.seconds
    report.blind_spots, report.returned = waiting.blind_spots, waiting.returned
    name = site.people.persons[approval.person].name
    return Governed(report, (before, reported(site, config, waiting.plan)), f"{name}, {approval.role}")


def reported(site: Site, config: Config, plan: str) -> Path:
    """Write the report of a plan of any kind, as `offloader report` does, and give the page."""
    from offloader.reports.plans import note, report_of  # noqa: PLC0415
    from offloader.reports.writing import write_all  # noqa: PLC0415

    folder = config.directory / "reports"
    folder.mkdir(exist_ok=True)
    report = report_of(site, config, plan, names=False, by=site.person)
    files = {each: folder / f"{report.id}.{each}" for each in ("html", "xlsx")}
    write_all(report, files, language="")
    note(site, report)
    return files["html"]
