"""offloader duplicates"""

from __future__ import annotations

from typing import Annotated

import typer

from offloader.cli.exits import Exit
from offloader.cli.output import Answer, size
from offloader.cli.session import Json, session_of

#: countries that a line names
_LISTED = 8


def command(
    context: typer.Context,
    most: Annotated[int, typer.Option("--most", min=1, help="How many groups to show, the largest first.")] = 20,
    as_json: Json = False,
) -> Answer:
    """Find equal bytes among all stored documents, and say what could lie as one copy. Changes nothing."""
    from offloader.disposition.duplicates import find_duplicates  # noqa: PLC0415

    with session_of(context).site(exclusive=False, dry_run=True) as site:
        found = find_duplicates(site, most=most)
    if not found.groups:
        return Answer(Exit.DONE, {"groups": 0, "largest": []}, ["No two stored documents have the same bytes."])
    lines = [
        (
            f"{found.groups} groups of equal bytes: {found.versions} versions in {found.copies} copies, "
            f"{size(found.spare)} more than one copy a store would take."
        ),
        f"{size(found.shareable)} of that lie under the same law, source and duties. Nothing was changed.",
    ]
    for group in found.largest:
        lines.append(f"  {group.versions} x {size(group.size)}, SHA-256 {group.sha256}")
        for like, count in group.likenesses:
            where = " ".join(like.countries) or "places that are undecided"
            where = where if len(like.countries) <= _LISTED else f"{len(like.countries)} countries"
            duties = ", ".join(like.retention) or "no duties"
            lines.append(f"      {count} in {like.store}: {like.source}, may lie in {where}, {duties}")
    data = {
        "groups": found.groups,
        "versions": found.versions,
        "copies": found.copies,
        "spare_bytes": found.spare,
        "shareable_bytes": found.shareable,
        "largest": [group.as_json() for group in found.largest],
    }
    return Answer(Exit.DONE, data, lines)
