"""offloader duplicates"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli.exits import TABLE, Exit
from offloader.cli.output import Answer, size, write_plan
from offloader.cli.session import Json, PlanFile, Sources, chosen_sources, session_of

if TYPE_CHECKING:
    from offloader.disposition.sharing import SharePlan

#: countries that a line names
_LISTED = 8

app = typer.Typer(name="duplicates", help="Equal bytes among all stored documents: find them, and let them lie once.")


@app.callback(invoke_without_command=True)
def group(
    context: typer.Context,
    most: Annotated[int, typer.Option("--most", min=1, help="How many groups to show, the largest first.")] = 20,
    as_json: Json = False,
) -> Answer | None:
    """Find equal bytes among all stored documents, and say what could lie as one copy. Changes nothing."""
    from offloader.disposition.duplicates import find_duplicates  # noqa: PLC0415

    if context.invoked_subcommand is not None:
        return None
    with session_of(context).site(exclusive=False, dry_run=True) as site:
        found = find_duplicates(site, most=most)
    if not found.groups:
        return Answer(Exit.DONE, {"groups": 0, "largest": []}, ["No two stored documents have the same bytes."])
    lines = [
        (
            f"{found.groups} groups of equal bytes: {found.versions} versions in {found.copies} objects, "
            f"{size(found.spare)} more than one object a store would take."
        ),
        f"{size(found.shareable)} of that lie under the same law, source and duties. Nothing was changed.",
    ]
    for each in found.largest:
        lines.append(f"  {each.versions} x {size(each.size)}, SHA-256 {each.sha256}")
        for like, count in each.likenesses:
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
        "largest": [each.as_json() for each in found.largest],
    }
    return Answer(Exit.DONE, data, lines)


@app.command(epilog=TABLE)
def plan(
    context: typer.Context,
    source: Sources = None,
    out: PlanFile = None,
    as_json: Json = False,
) -> Answer:
    """Plan that equal bytes of documents that are alike lie once, where the policy says `duplicates: share`."""
    from offloader.disposition.acts import export_acts  # noqa: PLC0415
    from offloader.disposition.sharing import plan_sharing  # noqa: PLC0415

    with session_of(context).site(dry_run=True) as site:
        made = plan_sharing(site, sources=chosen_sources(site, source))
        if out is not None and made.row is not None:
            write_plan(out, export_acts(site, made.row.id))
        asking = any(policy.terms.duplicates == "share" for policy in site.policies.values())
    return answer(made, asking=asking)


def answer(made: SharePlan, *, asking: bool) -> Answer:
    """The plan in numbers, and what stays as it is. `asking`: some policy lets documents share copies."""
    row = made.row
    if row is None:
        said = "No stored object can give way to an equal one."
        if not asking:
            said += " No policy says `duplicates: share`."
        return Answer(Exit.DONE, {"plan": None}, [said])
    people = row.header.approvals.get("people", 0)
    stays = [
        f"  {act}: {count} copies stay, {made.examples[act]}" for act, count in made.acts.items() if act != "share"
    ]
    lines = [
        (
            f"Plan {row.id}: {made.objects} stored objects ({size(made.bytes)}) of {len(made.documents)} documents "
            "give way to equal ones."
        ),
        *(f"  in {store}: {count} documents" for store, count in sorted(made.stores.items())),
        *stays,
        f"SHA-256 {row.sha256}",
        f"Nothing was removed. Carry it out with: offloader apply {row.id}"
        if not people
        else f"Nothing was removed. {people} must approve it first, with: offloader approve {row.id} --reason TEXT",
    ]
    data = {"plan": row.id, "sha256": row.sha256, "acts": dict(made.acts), **made.totals()}
    return Answer(Exit.REVIEW if stays else Exit.DONE, data, lines)
