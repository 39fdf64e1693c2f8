"""offloader policy"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offloader.cli import policy_diff, policy_show
from offloader.cli.exits import TABLE, Exit
from offloader.cli.output import Answer
from offloader.cli.policy_choice import FILE, Chosen, Name, choose, is_file
from offloader.cli.session import Json, Session, session_of
from offloader.errors import ConfigError

if TYPE_CHECKING:
    from offloader.model import Finding
    from offloader.moves.site import Site
    from offloader.ports import Target

app = typer.Typer(name="policy", no_args_is_help=True, help="Check, show, test, explain and compare policies.")
app.command("show", epilog=TABLE)(policy_show.command)


@app.callback()
def group() -> None:
    pass


@app.command(epilog=TABLE)
def lint(
    context: typer.Context,
    name: Name = None,
    stores: Annotated[
        bool, typer.Option("--stores/--no-stores", help="Ask the configured stores for the proofs of their places.")
    ] = True,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Also decide about every document of the ledger, writing nothing.")
    ] = False,
    as_json: Json = False,
) -> Answer:
    """Find what is doubtful: clauses and rules that never apply, weakened layers, overdue reviews, unproven stores."""
    session = session_of(context)
    about = choose(session, name)
    targets = _targets(session) if stores and not is_file(name) else ()
    found = {each.name: _linted(each, targets) for each in about}
    for each in about:
        found[each.name] += _named(session, each)
    if ledger:
        with session.site(exclusive=False, dry_run=True) as site:
            for each in about:
                found[each.name] += _met(site, each, session)
    return _lint_answer(found)


def _linted(chosen: Chosen, targets: tuple[Target, ...]) -> list[Finding]:
    """What the plugin finds; a policy that does not open is an error of its own."""
    chosen.plugin.open(chosen.options, chosen.outside)
    if chosen.plugin.lint is None:
        return []
    return list(chosen.plugin.lint(chosen.options, chosen.outside, targets))


def _named(session: Session, chosen: Chosen) -> list[Finding]:
    """What the policy names and the configuration lacks. A file may stand alone, without a configuration."""
    from offloader.cli.policy_names import findings, kinds_by_source  # noqa: PLC0415
    from offloader.model import Finding, Severity  # noqa: PLC0415

    try:
        config = session.config()
    except ConfigError as error:
        if chosen.part is not None:
            raise
        text = f"the names of sources, kinds and stores are compared with nothing: {error}"
        return [Finding(Severity.OK, "names-unchecked", text)]
    return list(findings(chosen, config, kinds_by_source(config, session.context())))


def _targets(session: Session) -> tuple[Target, ...]:
    from offloader.plugins import StorePlugin, load  # noqa: PLC0415
    from offloader.ports import Target  # noqa: PLC0415
    from offloader.wiring import open_store  # noqa: PLC0415

    config, outside = session.config(), session.context()
    return tuple(
        Target(
            name,
            open_store(part, config, outside, dry_run=True).prove(),
            load(StorePlugin, part.type).tariff(part.options),
        )
        for name, part in sorted(config.stores.items())
    )


def _met(site: Site, chosen: Chosen, session: Session) -> list[Finding]:
    """What the ledger's documents meet under a policy that no person has thought of."""
    from offloader.model import Finding, Severity  # noqa: PLC0415
    from offloader.moves.replay import survey  # noqa: PLC0415

    policy = chosen.plugin.open(chosen.options, chosen.outside)
    config = session.config()
    part = config.policies.get(chosen.name)
    sources = part.sources if part is not None and part.sources else tuple(site.sources)
    return [
        Finding(Severity.WARNING, each.code, f"ledger: {each.documents} documents: {each.text}", each.example)
        for each in survey(site, dict.fromkeys(sources, policy))
    ]


def _lint_answer(found: Mapping[str, list[Finding]]) -> Answer:
    from offloader.model import Severity  # noqa: PLC0415

    sign = {Severity.OK: "note   ", Severity.WARNING: "WARNING", Severity.ERROR: "ERROR  "}
    severities = {finding.severity for findings in found.values() for finding in findings}
    code = Exit.USAGE if Severity.ERROR in severities else Exit.REVIEW if Severity.WARNING in severities else Exit.DONE
    lines = []
    for name, findings in found.items():
        doubtful = sum(finding.severity is not Severity.OK for finding in findings)
        lines.append(f"{name}: {doubtful} doubtful, {len(findings) - doubtful} notes")
        for finding in findings:
            lines.append(f"{sign[finding.severity]} {finding.message} ({finding.code})")
            lines += [f"        {finding.remedy}"] if finding.remedy else []
    data = {
        "policies": {
            name: [
                {"severity": f.severity.value, "code": f.code, "message": f.message, "remedy": f.remedy}
                for f in findings
            ]
            for name, findings in found.items()
        }
    }
    return Answer(code, data, lines)


@app.command("test", epilog=TABLE)
def run_tests(context: typer.Context, name: Name = None, as_json: Json = False) -> Answer:
    """Run the examples that stand beside the policy (given, expect); exit code 1 if one comes out otherwise."""
    lines: list[str] = []
    data: dict[str, list[dict[str, Any]]] = {}
    failed = total = 0
    for chosen in choose(session_of(context), name):
        results = chosen.plugin.test(chosen.options, chosen.outside) if chosen.plugin.test else ()
        data[chosen.name] = [
            {"name": each.name, "where": each.where, "differences": list(each.differences)} for each in results
        ]
        for each in results:
            total += 1
            failed += bool(each.differences)
            lines.append(f"{'FAILED' if each.differences else 'ok    '} {each.where} {each.name}")
            lines += [f"         {difference}" for difference in each.differences]
    lines.append(f"{total} tests, {failed} failed." if total else "The policy has no tests.")
    return Answer(Exit.FAILED if failed else Exit.DONE, {"tests": total, "failed": failed, "policies": data}, lines)


@app.command(epilog=TABLE)
def explain(
    context: typer.Context,
    document: Annotated[str, typer.Argument(help="SOURCE/KIND/ID, an id alone, or the document's link.")],
    names: Annotated[bool, typer.Option("--names", help="Show titles and file names; they are personal data.")] = False,
    as_json: Json = False,
) -> Answer:
    """Tell the whole story of one document: its records, the clauses and rules, the stores, holds, and all events."""
    from offloader.moves.story import find, lines, tell, value  # noqa: PLC0415

    with session_of(context).site(exclusive=False, dry_run=True) as site:
        story = tell(site, find(site, document))
    return Answer(data=value(story, names=names), lines=list(lines(story, names=names)))


app.command("diff", epilog=TABLE)(policy_diff.command)


@app.command(epilog=TABLE)
def schema(context: typer.Context, as_json: Json = False) -> Answer:
    """Print the JSON Schema of a policy file, so that editors complete and check it."""
    from offloader.plugins import PolicyPlugin, load  # noqa: PLC0415

    plugin = load(PolicyPlugin, FILE)
    found = dict(plugin.schema()) if plugin.schema else {}
    return Answer(data={"schema": found}, lines=json.dumps(found, indent=2).splitlines())
