"""offloader demo"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli.exits import Exit
from offloader.cli.output import Answer, note, size, why
from offloader.cli.session import Json, Session
from offloader.errors import ConfigError
from offloader.model import State

if TYPE_CHECKING:
    from offloader.cli.demo_erasure import Forgotten
    from offloader.cli.demo_governance import Governed
    from offloader.cli.demo_proof import Proof
    from offloader.cli.demo_purge import Cleanup
    from offloader.cli.demo_sandbox import Sandbox
    from offloader.config import Config
    from offloader.moves.site import Site

#: where the emulated CRMs hold their bytes, as their made-up contract says
HOME = "IE"


def command(
    context: typer.Context,
    documents: Annotated[int, typer.Option(min=1, help="How many documents to make.")] = 200,
    crm: Annotated[str, typer.Option(help="Which CRM to emulate: salesforce, dynamics365, or all.")] = "salesforce",
    stores: Annotated[
        str,
        typer.Option(help="Where bytes go: filesystem, or s3,azure on servers started here."),
    ] = "filesystem",
    keep: Annotated[Path | None, typer.Option(help="Keep everything in this directory, to look around.")] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal documents.")] = 1,
    as_json: Json = False,
) -> Answer:
    """The whole job on an emulated CRM: real documents out, links in, originals gone; then every law is proven."""
    from offloader.cli.demo_erasure import forget  # noqa: PLC0415
    from offloader.cli.demo_governance import approved_run, govern  # noqa: PLC0415
    from offloader.cli.demo_proof import prove, witness  # noqa: PLC0415
    from offloader.cli.demo_purge import add_rules, clean_up  # noqa: PLC0415
    from offloader.cli.demo_sandbox import running_sandboxes  # noqa: PLC0415
    from offloader.cli.demo_stores import kinds_of, running_stores, use_stores  # noqa: PLC0415

    kinds = kinds_of(stores)
    with _directory(keep) as directory:
        note(f"Starting {_named(crm)} with {documents} documents in {directory} …")
        session = Session(directory / "offloader.yaml")
        with (
            running_stores(kinds, directory, session.context()) as servers,
            running_sandboxes(crm, directory, documents=documents, seed=seed) as crms,
        ):
            use_stores(directory / "offloader.yaml", servers)
            govern(directory / "offloader.yaml", session.context(), home=HOME)
            add_rules(directory / "policy.yaml", list(crms))
            before = {name: witness(each) for name, each in crms.items()}
            for each in crms.values():
                each.reset_requests()
            with session.site() as site:
                governed = approved_run(site, session.config())
                requests = _requests(crms)
                note("Opening every link through the gateway, and looking for what should be gone …")
                proof = prove(site, session.config(), crms, before)
                saved = _saving(site, session.config())
                ratios = _ratios(site, requests)
                note("Purging old shipment confirmations and closed cases from the CRM …")
                cleanup = clean_up(site, session.config(), crms)
                note("Erasing a made-up person's documents, with a certificate …")
                forgotten = forget(site, session.config())
    answer = _answer(governed, requests, ratios, proof, saved, servers.refused, _next(keep, crm))
    return _with_erasure(_with_cleanup(answer, cleanup), forgotten)


def _named(crm: str) -> str:
    from offloader.cli.sandbox_files import ALL  # noqa: PLC0415 - brings in the plugins

    return "all emulated CRMs" if crm == ALL else f"an emulated {crm}"


def _requests(crms: Mapping[str, Sandbox]) -> dict[str, int]:
    """CRM requests by operation, as the servers counted them; of several CRMs with their names."""
    prefix = {name: f"{name}/" if len(crms) > 1 else "" for name in crms}
    return {prefix[name] + what: count for name, each in crms.items() for what, count in each.requests().items()}


def _ratios(site: Site, requests: Mapping[str, int]) -> dict[str, float]:
    """Requests per version moved of each CRM, where there are several."""
    versions: Counter[str] = Counter()
    for (source, _, state), tally in site.ledger.tally().items():
        if state is State.DONE:
            versions[source] += tally.versions
    spent: Counter[str] = Counter()
    for operation, count in requests.items():
        spent[operation.partition("/")[0]] += count
    return (
        {name: round(spent[name] / moved, 4) for name, moved in sorted(versions.items())} if len(versions) > 1 else {}
    )


@contextlib.contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        if (keep / "ledger.sqlite").exists():
            raise ConfigError(f"{keep} holds an earlier demo; name another directory, or delete it")
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    directory = Path(tempfile.mkdtemp(prefix="offloader-demo-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _saving(site: Site, config: Config) -> tuple[float, str]:
    """US dollars a month that the moved bytes no longer cost in the CRMs, and the note that says by which prices."""
    from offloader import prices  # noqa: PLC0415
    from offloader.plugins import SourcePlugin, load  # noqa: PLC0415

    moved: Counter[str] = Counter()
    for (source, _, state), tally in site.ledger.tally().items():
        if state is State.DONE:
            moved[source] += tally.bytes
    meters = {name: load(SourcePlugin, part.type).storage_price for name, part in config.sources.items()}
    saving = prices.load().monthly_savings([(meters[name], size) for name, size in moved.items()])
    return (saving.crm_usd, saving.note) if saving else (0.0, "no listed price")


def _answer(
    governed: Governed,
    requests: dict[str, int],
    ratios: dict[str, float],
    proof: Proof,
    saved: tuple[float, str],
    refused: Mapping[str, str],
    next_step: str,
) -> Answer:
    report = governed.report
    data = report.as_json()
    total = sum(requests.values())
    data["crm_requests"] = requests
    data["requests_per_version"] = round(total / report.versions_moved, 4) if report.versions_moved else None
    if ratios:
        data["requests_per_version_by_crm"] = ratios
    data["links_verified"] = proof.links_opened
    data["originals_removed"] = proof.originals_gone
    data["usd_saved_per_month"] = round(saved[0], 4)
    data["proof"] = proof.as_json()
    data["stores_refused"] = dict(refused)
    data["approved_by"] = governed.approved_by
    data["reports"] = [str(file) for file in governed.files]
    good = proof.holds and not report.failed and report.stopped is None and proof.links_opened == report.moved
    lines = [
        "",
        f"  Approved  plan {report.plan}, by {governed.approved_by}, on the dry-run report",
        *(f"  Report    {file}" for file in governed.files),
        f"  Moved     {report.moved} documents ({report.versions_moved} versions, {size(report.bytes)})",
        *(f"              to {store}: {count}" for store, count in sorted(proof.by_store.items())),
        f"  Stayed    {report.kept + report.blocked + report.review}",
        *(f"      {line}" for line in why(report.reasons, report.examples)),
        f"  Failed    {report.failed}",
        f"  Saves     about ${saved[0]:.2f} a month, before the price of the store",
        f"              {saved[1]}",
        (
            f"  Calls     {total} CRM requests, {data['requests_per_version']} per version moved, "
            f"as the CRM counted them ({report.seconds:.1f} s)"
        ),
        *(f"              {name}: {ratio} per version moved" for name, ratio in ratios.items()),
        "",
        f"  {_tick(proof.links_opened == report.moved)} {proof.links_opened} links opened: the bytes that the CRM had",
        f"  {_tick(not proof.originals_left)} {proof.originals_gone} originals gone from the CRM",
        f"  {_tick(not proof.abroad)} nothing outside its permitted countries",
        f"  {_tick(not proof.disturbed)} {proof.untouched} documents that had to stay are untouched",
        f"  {_tick(not proof.left_behind)} nothing stayed that was free to move",
        f"  {_tick(not proof.opened_by_stranger)} who may not read the record gets the same answer as for no link",
        *(f"  ✓ {kind} as it is, with nobody's word for its place, is refused" for kind in refused),
        *(f"  ! {problem}" for problem in proof.problems[:20]),
        *(f"  ! {error}" for error in report.errors[:20]),
        "",
        next_step,
    ]
    return Answer(Exit.DONE if good else Exit.FAILED, data, lines)


def _with_cleanup(answer: Answer, cleanup: Cleanup) -> Answer:
    from offloader.cli.demo_purge import lines_of  # noqa: PLC0415

    *lines, blank, next_step = answer.lines
    code = answer.code if not cleanup.problems else Exit.FAILED
    data = {**answer.data, "purge": cleanup.as_json()}
    return Answer(code, data, [*lines, *lines_of(cleanup), blank, next_step])


def _with_erasure(answer: Answer, forgotten: Forgotten | None) -> Answer:
    from offloader.cli.demo_erasure import lines_of  # noqa: PLC0415

    *lines, blank, next_step = answer.lines
    code = answer.code if forgotten is None or not forgotten.problems else Exit.FAILED
    data = {**answer.data, "erasure": None if forgotten is None else forgotten.as_json()}
    return Answer(code, data, [*lines, *lines_of(forgotten), blank, next_step])


def _tick(good: bool) -> str:
    return "✓" if good else "✗"


def _next(keep: Path | None, crm: str) -> str:
    if keep is None:
        return "Look around yourself: offloader demo --keep demo, then offloader -c demo/offloader.yaml status"
    return (
        f"Everything is in {keep}. Start the CRM again with `offloader sandbox {crm} --dir {keep}`, then try: "
        f"offloader -c {keep}/offloader.yaml status | reconcile | restore --all"
    )
