"""offloader policy diff"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offloader.cli.output import SHOWN, Answer, size
from offloader.cli.policy_choice import Chosen, of, opened_file
from offloader.cli.policy_show import in_words
from offloader.cli.session import Json, Session, session_of
from offloader.errors import ConfigError

if TYPE_CHECKING:
    from offloader.moves.replay import Replay
    from offloader.ports import Policy


def command(
    context: typer.Context,
    old: Annotated[Path, typer.Argument(help="A policy file, or an offloader.yaml.")],
    new: Annotated[Path, typer.Argument(help="The other one.")],
    as_json: Json = False,
) -> Answer:
    """Decide about every document of the ledger under both policies, and say what would change. Writes nothing."""
    from offloader.moves.replay import replay  # noqa: PLC0415

    session = session_of(context)
    with session.site(exclusive=False, dry_run=True) as site:
        before, after = (_by_source(path, tuple(site.sources), session) for path in (old, new))
        found = replay(site, _opened(before), _opened(after))
    values = list(_differing(before, after))
    data = {"old": str(old), "new": str(new), **found.value(), "values": values}
    return Answer(data=data, lines=[*_lines(found), *_value_lines(values)])


def _by_source(path: Path, sources: tuple[str, ...], session: Session) -> dict[str, Chosen]:
    """The policy of every source: one file for all, or as another configuration has them."""
    from offloader.config import load_config  # noqa: PLC0415
    from offloader.system import system_context  # noqa: PLC0415

    if _is_configuration(path):
        config, outside = load_config(path), system_context(path.resolve().parent)
        return {name: of(config.policy_for(name), outside) for name in sources if name in config.sources}
    return dict.fromkeys(sources, Chosen(str(path), *opened_file(path), session.context()))


def _is_configuration(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    return any(line.startswith("sources:") for line in text.splitlines())


def _opened(chosen: Mapping[str, Chosen]) -> dict[str, Policy]:
    opened = {each.name: each.plugin.open(each.options, each.outside) for each in chosen.values()}
    return {source: opened[each.name] for source, each in chosen.items()}


def _differing(before: Mapping[str, Chosen], after: Mapping[str, Chosen]) -> Iterator[dict[str, Any]]:
    """Values that are written otherwise, decisions or not: approvals, caps and terms decide about no document."""
    pairs = {(old.name, after[source].name): (old, after[source]) for source, old in before.items() if source in after}
    for olds, news in ((_values(old), _values(new)) for old, new in pairs.values()):
        for part, key in dict.fromkeys((*olds, *news)):
            was, now = olds.get((part, key), (None, None)), news.get((part, key), (None, None))
            if was[0] != now[0]:
                value = {"part": part, "key": key, "old": was[0], "new": now[0]}
                yield {**value, "old_origin": was[1], "new_origin": now[1]}


def _values(chosen: Chosen) -> dict[tuple[str, str], tuple[Any, str | None]]:
    """By part and key: each value that a policy has, and its file and line."""
    if chosen.plugin.show is None:
        return {}
    shown = chosen.plugin.show(chosen.options, chosen.outside).values
    return {(each.part, each.key): (each.value, each.origin) for each in shown if each.value not in ([], {}, "")}


def _lines(found: Replay) -> Iterator[str]:
    yield f"{found.documents} documents, {found.changed} decided otherwise."
    if found.details:
        yield f"{found.details} have the same outcome with other permitted places, categories or terms."
    for (before, after), count in found.changes.most_common(SHOWN):
        yield f"{count:>8}  {before}  →  {after}  ({size(found.bytes[before, after])})"
    for name, count in found.by.most_common(SHOWN):
        example = found.examples[name]
        yield f"{name}: {count} documents; the smallest is {example.document}: {example.before} → {example.after}"
        yield f"          {example.why}"


def _value_lines(values: list[dict[str, Any]]) -> Iterator[str]:
    if values:
        yield f"{len(values)} values of the policy differ:"
    for each in values[:SHOWN]:
        what = f"{each['part']}: {each['key']}" if each["part"] else each["key"]
        place = each["new_origin"] or each["old_origin"]
        yield f"  {what}: {in_words(each['old'])} → {in_words(each['new'])}" + (f"  ({place})" if place else "")
    if len(values) > SHOWN:
        yield f"  and {len(values) - SHOWN} more; --json has them all"
