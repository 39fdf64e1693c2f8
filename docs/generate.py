"""Writes the pages under docs/reference and the examples shown in other pages: `python docs/generate.py`.

Everything comes from the program itself: help texts, options models, rule tables. With `--check` nothing is written,
and the exit code is 1 if a page is not current.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import EnumType
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
import typer.main
from pydantic.fields import FieldInfo

from offloader.cli.main import app
from offloader.cli.policy_show import shown
from offloader.config import (
    AuditOptions,
    EncryptionOptions,
    GatewayOptions,
    LedgerOptions,
    LimitOptions,
    PaceOptions,
    PersonOptions,
    ReportOptions,
    ScheduleOptions,
)
from offloader.model import Assurance, Document, DocumentRef, LocationProof, Parent, Version
from offloader.plugins import Options, PolicyPlugin, SourcePlugin, StorePlugin, available, load
from offloader.ports import Target
from offloader.secrets import SecretRef
from offloader_connectors.dynamics365.emulator import edits as dynamics_edits
from offloader_connectors.dynamics365.emulator.options import OrgOptions
from offloader_connectors.dynamics365.emulator.protocol import ProtocolOptions
from offloader_connectors.salesforce.emulator import edits as salesforce_edits
from offloader_policies import tables
from offloader_policies.explain import lines
from offloader_policies.language.layers import load as load_layers
from offloader_policies.language.model import PolicyFile
from offloader_policies.language.policy import FilePolicy
from offloader_policies.language.showing import whole
from offloader_policies.options import ResidencyOptions
from offloader_policies.plugin import open_policy
from offloader_policies.retention import Duty, Period

DOCS = Path(__file__).resolve().parent
WIDTH = 100
NOTICE = "<!-- Written by docs/generate.py; edits are lost. -->\n"
SECTIONS: tuple[tuple[str, type[SourcePlugin | StorePlugin | PolicyPlugin], str], ...] = (
    ("sources", SourcePlugin, "source"),
    ("stores", StorePlugin, "store"),
    ("policies", PolicyPlugin, "policy"),
)
CORE: tuple[tuple[str, type[Options]], ...] = (
    ("ledger", LedgerOptions),
    ("gateway", GatewayOptions),
    ("pace", PaceOptions),
    ("limits", LimitOptions),
    ("audit", AuditOptions),
    ("reports", ReportOptions),
    ("schedule", ScheduleOptions),
)
#: a marker comment and the fenced block after it, which is filled from the file that the marker names
EXAMPLE = re.compile(r"<!-- example: ([^>]+) -->\n```(\w+)\n.*?```\n", re.DOTALL)
BOUNDS = (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than"))
WORDS: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    date: "date",
    SecretRef: "secret reference",
}


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, groups before their members."""

    def below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield name, command
        for part, inner in getattr(command, "commands", {}).items():
            yield from below(f"{name} {part}", inner)

    return below("offloader", typer.main.get_command(app))


def help_of(name: str, command: Any) -> str:
    """A command's `--help`, of fixed width."""
    context = command.context_class(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def cli_page() -> str:
    parts = [
        "# Command line\n\n",
        NOTICE,
        (
            "\nWhat `--help` says of every command. `-c FILE` comes before the command. How they work together: "
            "[running it](../run.md).\n"
        ),
    ]
    for name, command in commands():
        level = "##" if name.count(" ") < 2 else "###"
        parts.append(f"\n{level} {name}\n\n```text\n{help_of(name, command)}\n```\n")
    return "".join(parts)


def configuration_page() -> str:
    parts = [
        "# Configuration\n\n",
        NOTICE,
        (
            "\nEvery key of `offloader.yaml`. Unknown keys are errors. A *secret reference* is `env:NAME` or "
            "`file:PATH`; a secret itself is refused. Relative paths are relative to the folder of the file. By "
            "example: [configuring it](../configure.md).\n"
        ),
    ]
    for section, model in CORE:
        parts.append(f"\n## {section}\n\n{_sentence(model)}\n\n{_options_table(model)}")
    parts.append(f"\n## people\n\nA mapping from a short name to one person. {_sentence(PersonOptions)}\n\n")
    parts.append(_options_table(PersonOptions))
    for section, kind, word in SECTIONS:
        parts.append(f"\n## {section}\n\nA mapping from a name of your choice to one {word}. Each has a `type`")
        parts.append("; `sources` lists the sources that it is for (all, if absent).\n" if word == "policy" else ".\n")
        for name in available(kind):
            plugin = load(kind, name)
            parts.append(f"\n### {word} type {name}\n\n{plugin.help.rstrip('.')}.\n\n{_options_table(plugin.options)}")
        if word == "store":
            head = f"{_sentence(EncryptionOptions)} See [stores](../stores.md#encryption)."
            parts.append(f"\n### encryption\n\nOf any store. {head}\n\n{_options_table(EncryptionOptions)}")
    return "".join(parts)


def _sentence(model: type[Options]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _options_table(model: type[Options]) -> str:
    rows = "".join(f"| {' | '.join(cells)} |\n" for cells in _rows(model, ""))
    return f"| key | type | default | meaning |\n| --- | --- | --- | --- |\n{rows}"


def _rows(model: type[Options], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        inner, mark = _nested(field.annotation)
        key = f"{prefix}{name}"
        meaning = _cell(field.description or (_sentence(inner[0]) if inner else ""))
        if meaning and not meaning.endswith("."):
            meaning += "."
        yield f"`{key}`", _cell(_type(field.annotation) + _bounds(field)), _default(field), meaning
        for part in inner:
            dotted = f"{key}{mark}."
            if len(inner) > 1:
                yield f"*{key}: {_choice(part)}*", "", "", _cell(_sentence(part))
            yield from _rows(part, dotted)


def _choice(model: type[Options]) -> str:
    kind = model.model_fields["type"].annotation
    return f"type {get_args(kind)[0]}"


def _nested(annotation: Any) -> tuple[list[type[Options]], str]:
    """Options models inside an annotation, and `[]` if they stand in a list."""
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return [annotation], ""
    found = [model for part in get_args(annotation) for model in _nested(part)[0]]
    return found, "[]" if get_origin(annotation) is tuple else ""


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(part) for part in arguments if part is not NoneType))
    if origin is Literal or isinstance(annotation, EnumType):
        return " or ".join(f"`{value}`" for value in arguments or annotation)
    if origin in (Annotated, tuple):
        return f"{'list of ' if origin is tuple else ''}{_type(arguments[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return "section"
    return WORDS[annotation]


def _bounds(field: FieldInfo) -> str:
    found = [(word, _bound(mark, name)) for mark in field.metadata for name, word in BOUNDS]
    said = [f"{word} {value:.12g}" for word, value in found if value is not None]
    return f", {' and '.join(said)}" if said else ""


def _bound(mark: Any, name: str) -> float | None:
    value = getattr(mark, name, None)
    return value if isinstance(value, int | float) else None


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}) or isinstance(value, Options):
        return ""
    shown = ", ".join(value) if isinstance(value, tuple) else str(value)
    return f"`{shown}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


#: of a longer list, so many values are shown
_SHOWN_VALUES = 3
#: where a line of a dataclass's source describes the fields that follow
_DESCRIBES = re.compile(r"\s*#: ?(.*)")


def emulator_page() -> str:
    parts = [
        "# Emulated CRMs\n\n",
        NOTICE,
        "\nWhat differs between one emulated CRM and another, and what somebody else can change in it by script. How ",
        "to use them: [emulator](../emulator.md).\n\n## Dynamics 365: the environment\n\n`GET` and `PUT ",
        "/_emulator/options`. Where public sources leave a behaviour open, an option says what the default guesses.\n",
        "\n",
        _fields_table(OrgOptions),
        "\n## Dynamics 365: the web servers\n\n`GET` and `PUT /_emulator/protocol`. The guide's limits are 6,000 ",
        "requests, 1,200 seconds of execution and 52 calls at once in 300 seconds; real environments show others.\n\n",
        _fields_table(ProtocolOptions),
        "\n## Dynamics 365: changes by somebody else\n\n",
        _after_first_line(dynamics_edits.__doc__),
        "\n## Salesforce: changes by somebody else\n\n",
        _after_first_line(salesforce_edits.__doc__),
    ]
    return "".join(parts)


def _after_first_line(docstring: str | None) -> str:
    """The rest of a module's docstring, which is Markdown."""
    return inspect.cleandoc(docstring or "").partition("\n")[2].strip() + "\n"


def _fields_table(dataclass: type[Any]) -> str:
    """Fields of a dataclass with the `#:` comments above them; fields below one comment share a row."""
    found = ["| key | default | meaning |\n| --- | --- | --- |\n"]
    for names, comment in _described(dataclass):
        keys = ", ".join(f"`{name}`" for name in names)
        values = ", ".join(_default_of(dataclass, name) for name in names)
        found.append(f"| {keys} | {values} | {_cell(comment)} |\n")
    return "".join(found)


def _described(dataclass: type[Any]) -> Iterator[tuple[list[str], str]]:
    source = inspect.getsource(dataclass)
    lines = source.splitlines()
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    group: tuple[list[str], str] | None = None
    for node in body.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        comment: list[str] = []
        above = node.lineno - 2
        while found := _DESCRIBES.fullmatch(lines[above]):
            comment.insert(0, found[1])
            above -= 1
        if comment and group is not None:
            yield group
        group = ([node.target.id], " ".join(comment)) if comment or group is None else group
        if not comment and node.target.id not in group[0]:
            group[0].append(node.target.id)
    if group is not None:
        yield group


def _default_of(dataclass: type[Any], name: str) -> str:
    """A field's default, and what else it can be."""
    value, hint = dataclass.__dataclass_fields__[name].default, get_type_hints(dataclass)[name]
    if isinstance(value, tuple):
        more = f" and {len(value) - _SHOWN_VALUES} more" if len(value) > _SHOWN_VALUES else ""
        return f"`{', '.join(value[:_SHOWN_VALUES])}`{more}"
    others = [f" or `{each}`" for each in get_args(hint) if get_origin(hint) is Literal and each != value]
    return f"`{str(value).lower() if isinstance(value, bool) else value}`{''.join(others)}"


MODES = (
    ("HARD", "every copy must be in the listed places"),
    ("PRIMARY", "the primary copy must be in the listed places; offloader keeps all of its copies there"),
    ("COPY", "one full copy must be in the listed places; offloader makes one there, besides those elsewhere"),
    ("COND", "in the listed places, or elsewhere on a recorded transfer basis; without a list it bounds no place"),
    ("DENY", "never in the listed places"),
    ("REACH", "no bound on the place, but the authority must have prompt access"),
    ("EXPORT_GATE", "no bound on the place, but handing the data out needs an approval"),
    ("FREE", "no bound on the place"),
    ("SUSPENDED", "not in force; listed with the decision, does not count as covering the country"),
    ("PENDING", "not yet in force; listed with the decision, does not count as covering the country"),
)


def policy_page() -> str:
    head = (
        f"# Policy file\n\n{NOTICE}\nEvery key of a policy file. Unknown keys are errors. By example: "
        "[write a policy](../policy.md). `offloader policy schema` prints the same for editors, as JSON Schema.\n\n"
        "Sizes: bytes, or `20 kB`, `10 MB`. Periods: ISO 8601 by the calendar, `P7Y`, `P6M`, `P30D`. "
        "The keys of `residency` are those of [policy type residency](configuration.md#policy-type-residency).\n\n"
    )
    rows = [row for row in _rows(PolicyFile, "") if not row[0].startswith("`residency.")]
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
    return f"{head}| key | type | default | meaning |\n| --- | --- | --- | --- |\n{table}"


def retention_page() -> str:
    duties = tables.load().duties
    head = (
        f"# Retention duties\n\n{NOTICE}\nThe retention table: {len(duties)} duties. **Not legal advice**, and not "
        "complete. `min`: keep at least so long; `max`: not longer; `exact`: both. A clause names a duty by its id: "
        "[write a policy](../policy.md).\n\n"
        "| duty | law of | documents | kind | period | from | citation | review |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    return head + "".join(f"| {' | '.join(_cell(cell) for cell in _duty(duty))} |\n" for duty in duties.values())


def _span(period: Period | None) -> str:
    if period is None:
        return "open"
    years, months = divmod(period.months, 12)
    words = ((years, "years"), (months, "months"), (period.days, "days"))
    return " ".join(f"{count} {word}" for count, word in words if count)


def _duty(duty: Duty) -> Iterator[str]:
    same = duty.least == duty.most
    kind = "exact" if duty.least and same else "min" if duty.least else "max" if duty.most else "open"
    period = duty.least or duty.most
    review = duty.review.isoformat() if duty.review else ""
    documents = ", ".join(sorted(duty.documents))
    yield from (duty.id, duty.jurisdiction, documents, kind, _span(period), duty.start, duty.citation, review)


def rules_page() -> str:
    loaded = tables.load()
    modes = "".join(f"| `{mode}` | {text} |\n" for mode, text in MODES)
    head = (
        f"# Rules\n\n{NOTICE}\nThe rule table of the residency policy: {len(loaded.rules)} rules. **Not legal "
        "advice**, and not complete. `review` is the last day before somebody has to look at a rule again; a rule past "
        "that day is still applied and says so. `@NAME` is a [group of countries](#groups). How rules become a "
        "decision: [policy](../policy.md).\n\n"
        f"## Modes\n\n| mode | meaning |\n| --- | --- |\n{modes}"
    )
    return f"{head}\n## The rules\n\n{_rules_table(loaded.rules)}\n## Groups\n\n{_groups_table(loaded)}"


def _rules_table(rules: Iterable[tables.Rule]) -> str:
    found = [
        "| rule | law of | documents | applies when | mode | places | citation | status | review |\n",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    ]
    for rule in rules:
        places = [f"{word} {' '.join(found)}" for word, found in _places(rule) if found]
        cells = (
            rule.id,
            rule.jurisdiction,
            ", ".join(sorted(rule.categories)),
            rule.condition,
            rule.mode.value,
            "; ".join(places),
            rule.citation,
            rule.status,
            rule.review.isoformat(),
        )
        found.append(f"| {' | '.join(_cell(cell) for cell in cells)} |\n")
    return "".join(found)


def _places(rule: tables.Rule) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return ("only in", rule.must_in), ("allows", rule.allow), ("never in", rule.deny)


def _groups_table(loaded: tables.Tables) -> str:
    found = ["| group | members | from | to |\n| --- | --- | --- | --- |\n"]
    for name, group in loaded.atlas.groups.items():
        since = group.valid_from.isoformat() if group.valid_from else ""
        until = group.valid_to.isoformat() if group.valid_to else ""
        members = " ".join(group.tokens) or "no territory"
        found.append(f"| `@{name}` | {members} | {since} | {until} |\n")
    return "".join(found)


def a_decision() -> str:
    """What the policy says of a document of a Russian account, with stores in Germany and the United States."""
    day = datetime(2026, 11, 22, tzinfo=UTC)
    record = Parent(type="Account", id="001", signals={"country": "Russian Federation"})
    version = Version(id="068", number=1, name="offer.pdf", size=1)
    ref = DocumentRef("salesforce", "ContentDocument", "069")
    document = Document(ref=ref, title="offer", versions=(version,), parents=(record,))
    targets = [
        Target(
            name,
            LocationProof(
                store=name,
                assurance=Assurance.ATTESTED,
                countries=frozenset({country}),
                taken=day,
                expires=day + timedelta(days=1),
                summary="",
            ),
        )
        for name, country in (("frankfurt", "DE"), ("virginia", "US"))
    ]
    decision = open_policy(ResidencyOptions()).decide(document, targets, day)
    return "".join(f"{line}\n" for line in lines(decision))


def a_policy_shown() -> str:
    """What `policy show` says of one CRM's policy on top of its organisation's: the parts that both speak of."""
    policy = FilePolicy(load_layers(DOCS / "examples/one-crm.yaml"))
    values = [value for value in whole(policy).values if value.part in ("clause closed-cases", "approvals", "caps")]
    places = [value.origin or "default" for value in values]
    return "\n".join(line.rstrip() for line in shown(values, places)).lstrip() + "\n"


def with_examples(page: Path) -> str:
    """A page's text with its examples as the files under docs/examples have them."""

    def filled(match: re.Match[str]) -> str:
        made = {"a decision": a_decision, "a policy shown": a_policy_shown}.get(match[1])
        body = made() if made else (DOCS / match[1]).read_text(encoding="utf-8")
        return f"<!-- example: {match[1]} -->\n```{match[2]}\n{body}```\n"

    return EXAMPLE.sub(filled, page.read_text(encoding="utf-8"))


def pages() -> dict[Path, str]:
    """Every generated page with the text that it must have."""
    found = {
        page: text for page in sorted(DOCS.glob("*.md")) if (text := with_examples(page)).find("<!-- example") >= 0
    }
    reference = DOCS / "reference"
    found[reference / "cli.md"] = cli_page()
    found[reference / "configuration.md"] = configuration_page()
    found[reference / "emulator.md"] = emulator_page()
    found[reference / "policy.md"] = policy_page()
    found[reference / "retention.md"] = retention_page()
    found[reference / "rules.md"] = rules_page()
    return found


def stale() -> list[Path]:
    """The generated pages that are not current."""
    return [path for path, text in pages().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]


def main() -> int:
    found = stale()
    if "--check" in sys.argv[1:]:
        print("\n".join(f"not current: {path}" for path in found) or "all pages are current")
        return bool(found)
    current = pages()
    for path in found:
        path.write_text(current[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
