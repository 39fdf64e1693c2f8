"""offloader report"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli.exits import Exit
from offloader.cli.output import Answer
from offloader.cli.session import Json, session_of
from offloader.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offloader.reports.acts.model import ActsReport
    from offloader.reports.model import Report


def command(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="The plan's id, as the command that made it printed it.")],
    format: Annotated[
        str, typer.Option("--format", help="One or more of html, xlsx, csv, jsonl and pdf, with commas between them.")
    ] = "html,xlsx",
    lang: Annotated[
        str, typer.Option("--lang", help="en or nl; that of the configuration or of the browser if not given.")
    ] = "",
    out: Annotated[Path, typer.Option("--out", help="The folder for the files; made when missing.")] = Path("reports"),
    names: Annotated[
        bool | None, typer.Option("--names/--no-names", help="Print file names, or the beginnings of their hashes.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Draw the random sample with this number, not the plan's own.")
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Write down what a plan would do, or did: for people to read and sign, and for programs. Changes nothing."""
    from offloader.reports.model import Report  # noqa: PLC0415
    from offloader.reports.plans import note, report_of  # noqa: PLC0415
    from offloader.reports.writing import write_all  # noqa: PLC0415

    session = session_of(context)
    config = session.config()
    formats, language = _wanted(format, lang)
    named = config.settings.reports.names if names is None else names
    with session.site(dry_run=True) as site:
        report = report_of(site, config, plan, names=named, seed=seed, by=site.person)
        files = _files(out, report.id, formats)
        write_all(report, files, language=language)
        note(site, report)
    return _answer(report, files) if isinstance(report, Report) else _acts_answer(report, files)


def _wanted(format: str, lang: str) -> tuple[Sequence[str], str]:
    """The formats, each once, and the language; both are checked before any work is done."""
    from offloader.reports.writing import FORMATS, LANGUAGES  # noqa: PLC0415

    formats = list(dict.fromkeys(filter(None, (each.strip().lower() for each in format.split(",")))))
    unknown = [each for each in formats if each not in FORMATS]
    if unknown or not formats:
        raise ConfigError(f"--format {format!r}: a report has the formats {', '.join(FORMATS)}")
    if lang and lang not in LANGUAGES:
        raise ConfigError(f"--lang {lang!r}: a report has the languages {', '.join(LANGUAGES)}")
    return formats, lang


def _files(folder: Path, report: str, formats: Sequence[str]) -> dict[str, Path]:
    """A report's files by their formats, in a folder that is there then."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the folder {folder} cannot be made: {error.strerror}") from error
    return {each: folder / f"{report}.{each}" for each in formats}


def _acts_answer(report: ActsReport, files: dict[str, Path]) -> Answer:
    acts = {act: tally.count for act, tally in report.acts.items()}
    data = {
        "report": report.id,
        "mode": report.mode.value,
        "plan": report.plan,
        "kind": report.kind,
        "sha256": report.plan_sha256,
        "files": {each: str(path) for each, path in files.items()},
        "acts": acts,
        "over": list(report.over),
        "approved": report.approved,
        "outcomes": dict(report.outcomes),
    }
    said = ", ".join(f"{count} {act}" for act, count in acts.items()) or "nothing"
    lines = [
        f"Report {report.id} ({report.mode}) of plan {report.plan} ({report.kind}): {said}.",
        *(f"  {path}" for path in files.values()),
    ]
    return Answer(Exit.DONE, data, lines)


def _answer(report: Report, files: dict[str, Path]) -> Answer:
    totals = {verdict: count.documents for verdict, count in report.totals.items()}
    data = {
        "report": report.id,
        "mode": report.mode.value,
        "plan": report.plan,
        "sha256": report.plan_sha256,
        "files": {each: str(path) for each, path in files.items()},
        "verdicts": totals,
        "exceptions": report.exceptions_total,
        "held": report.held.documents,
        "approved": report.approved,
        "seed": report.seed,
        "outcomes": {state: count.documents for state, count in report.outcomes.items()},
    }
    said = ", ".join(f"{count} {verdict}" for verdict, count in totals.items() if count) or "no documents"
    lines = [
        f"Report {report.id} ({report.mode}) of plan {report.plan}: {said}; {report.exceptions_total} for a person.",
        *(f"  {path}" for path in files.values()),
    ]
    return Answer(Exit.DONE, data, lines)
