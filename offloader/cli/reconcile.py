"""offloader reconcile"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli.exits import Exit
from offloader.cli.output import Answer, printable
from offloader.cli.session import Json, session_of

if TYPE_CHECKING:
    from offloader.moves.verify import Comparison, Comparisons

MEANING = {"=": "same", "-": "missing in the store", "+": "unknown to the ledger", "*": "differs", "!": "error"}
MOST = 1000


def command(
    context: typer.Context,
    deep: Annotated[bool, typer.Option("--deep", help="Read every stored byte back, not only sizes.")] = False,
    as_json: Json = False,
) -> Answer:
    """Compare ledger, stores and CRM, one symbol a document: = same, - missing, + unknown, * differs, ! error."""
    from offloader.moves.verify import reconcile  # noqa: PLC0415

    with session_of(context).site(exclusive=False, dry_run=True) as site:
        return answer(reconcile(site, deep=deep, each=None if as_json else _print))


def _print(comparison: Comparison) -> None:
    detail = f"  {comparison.detail}" if comparison.detail else ""
    sys.stdout.write(printable(f"{comparison.symbol} {comparison.what}{detail}") + "\n")


def answer(result: Comparisons) -> Answer:
    total = sum(result.counts.values())
    counts = ", ".join(f"{count} {MEANING[symbol]}" for symbol, count in sorted(result.counts.items()))
    data = {
        "documents": total,
        "counts": dict(result.counts),
        "differences": [
            {"symbol": item.symbol, "what": item.what, "detail": item.detail} for item in result.differences[:MOST]
        ],
    }
    lines = [f"{total} compared: {counts or 'nothing to compare'}."]
    lines += [f"{item.symbol} {item.what}: {item.detail}" for item in result.differences[:20]]
    return Answer(Exit.DONE if result.same else Exit.FAILED, data, lines)
