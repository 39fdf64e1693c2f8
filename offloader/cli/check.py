"""offloader check"""

from __future__ import annotations

import typer

from offloader.cli.exits import Exit
from offloader.cli.output import Answer
from offloader.cli.session import Json, session_of
from offloader.errors import OffloaderError
from offloader.model import Assurance, Finding, Severity

SIGN = {Severity.OK: "ok     ", Severity.WARNING: "WARNING", Severity.ERROR: "ERROR  "}


def command(context: typer.Context, as_json: Json = False) -> Answer:
    """Log in everywhere; name every missing permission, what it would hide, and how each store proves its country."""
    session = session_of(context)
    config = session.config()
    from offloader.wiring import links_of, open_policy, open_source, open_store  # noqa: PLC0415 - loads plugins

    outside = session.context()
    links_of(config, outside)
    for part in config.policies.values():
        open_policy(part, outside)
    sources: dict[str, list[Finding]] = {}
    for name, part in config.sources.items():
        try:
            sources[name] = list(open_source(part, config, outside, dry_run=True).check())
        except OffloaderError as error:
            sources[name] = [Finding(Severity.ERROR, type(error).__name__, str(error))]
    proofs = {name: open_store(part, config, outside, dry_run=True).prove() for name, part in config.stores.items()}
    lines, worst = [], Severity.OK
    for name, findings in sources.items():
        for finding in findings:
            worst = max(worst, finding.severity, key=list(SIGN).index)
            hides = f" Hidden: {finding.hides}." if finding.hides else ""
            lines.append(f"{SIGN[finding.severity]} {name}: {finding.message}{hides} {finding.remedy}".rstrip())
    for name, proof in proofs.items():
        usable = proof.usable_at(outside.now())
        if not usable:
            worst = Severity.ERROR
        places = ", ".join(sorted(proof.countries)) or "nowhere that is known"
        sign = SIGN[Severity.OK if usable else Severity.ERROR]
        until = f"; valid until {proof.expires:%Y-%m-%d}" if proof.assurance is not Assurance.UNPROVEN else ""
        lines.append(f"{sign} {name}: {proof.assurance} in {places}: {proof.summary}{until}")
    data = {
        "sources": {
            name: [
                {"severity": f.severity, "code": f.code, "message": f.message, "hides": f.hides, "remedy": f.remedy}
                for f in findings
            ]
            for name, findings in sources.items()
        },
        "stores": {
            name: {
                "assurance": proof.assurance,
                "countries": sorted(proof.countries),
                "summary": proof.summary,
                "expires": proof.expires.isoformat(),
                "sha256": proof.sha256,
                "usable": proof.usable_at(outside.now()),
            }
            for name, proof in proofs.items()
        },
    }
    code = {Severity.OK: Exit.DONE, Severity.WARNING: Exit.REVIEW, Severity.ERROR: Exit.FAILED}[worst]
    return Answer(code, data, lines)
