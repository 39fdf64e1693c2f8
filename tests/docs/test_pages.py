"""What the pages say exists: files, links, keys, commands, options, exit codes, versions."""

from __future__ import annotations

import io
import re
import shlex
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any, get_args
from xml.etree import ElementTree as ET

import pyrage
import pytest
import typer.main
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from offloader import __version__
from offloader.cli.exits import Exit
from offloader.cli.init import TEMPLATE
from offloader.cli.main import app
from offloader.config import PLUGIN_KINDS, EncryptionOptions, Settings, load_config
from offloader.errors import ConfigError
from offloader.model import OWN_LINK, Skip
from offloader.plugins import load
from offloader.testing import context
from offloader.wrappers.encrypted import keys_of
from offloader_connectors.dynamics365 import skip as dynamics_skip
from offloader_connectors.dynamics365.emulator import edits as dynamics_edits
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.emulation.faults import ACTS, Faults
from offloader_connectors.salesforce import skip as salesforce_skip
from offloader_policies import tables
from tests.docs.conftest import DOCS, ROOT, Block, all_blocks, load_module, pages, text_of, written

generate = load_module(DOCS / "generate.py")
COMMANDS = dict(generate.commands())
YAML_BLOCKS = [
    block for block in all_blocks("yaml") if any(key in Settings.model_fields for key in YAML().load(block.text))
]
WHOLE = {"gateway", "sources", "stores", "policies"}
_LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")
_IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def parsed(block: Block) -> dict[str, Any]:
    value: dict[str, Any] = YAML(typ="safe", pure=True).load(io.StringIO(block.text))
    return value


def check_section(section: str, value: Any) -> None:
    """Validate what a page shows of one section as the configuration loader does."""
    if section not in PLUGIN_KINDS:
        annotation = Settings.model_fields[section].annotation
        TypeAdapter(annotation).validate_python(value)
        return
    for part in value.values():
        options = {key: option for key, option in part.items() if key not in ("type", "sources")}
        if section == "sources":
            assert all(len(code) == 2 for code in options.pop("held_in", []))
        if section == "stores" and "encryption" in options:
            check_encryption(options.pop("encryption"))
        plugin = load(PLUGIN_KINDS[section], part["type"])
        opened = plugin.options.model_validate(options)
        if section == "policies":
            plugin.open(opened, context(DOCS / "examples"))


def check_encryption(value: Any) -> None:
    """Public keys on a page are real ones: all are read before a foreign secret key is refused."""
    options = EncryptionOptions.model_validate(value)
    foreign = str(pyrage.x25519.Identity.generate())
    with pytest.raises(ConfigError, match="belongs to none of the recipients"):
        keys_of(options.recipients, options.recovery, foreign)


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_configuration_examples_are_valid(block: Block, tmp_path: Path) -> None:
    """A whole configuration on a page loads; a part of one is valid as the section that it shows."""
    value = parsed(block)
    if value.keys() >= WHOLE:
        path = tmp_path / "offloader.yaml"
        path.write_text(block.text, encoding="utf-8")
        load_config(path)
    for section, part in value.items():
        check_section(section, part)


def test_the_pages_show_a_whole_configuration() -> None:
    """At least one example is complete and has every section."""
    assert any(set(parsed(block)) == set(Settings.model_fields) for block in YAML_BLOCKS)


def test_the_first_configuration_is_valid(tmp_path: Path) -> None:
    """What `offloader init` writes loads."""
    path = tmp_path / "offloader.yaml"
    path.write_text(TEMPLATE, encoding="utf-8")

    assert load_config(path).sources


@pytest.mark.parametrize(
    "block", [b for b in all_blocks("yaml") if b not in YAML_BLOCKS and b.page.name != "policy.md"], ids=str
)
def test_other_yaml_is_a_fault_script(block: Block) -> None:
    """YAML that is no configuration is a fault script that the emulator takes."""
    faults = Faults()
    faults.load(parsed(block))

    assert faults.rules


def command_lines() -> list[tuple[str, list[str]]]:
    """Every call of offloader in a shell block: where it stands, and its arguments."""
    found = []
    for block in all_blocks("sh", "console"):
        for number, line in enumerate(block.text.splitlines(), block.line):
            words = shlex.split(line, comments=True)
            words = words[2:] if words[:2] == ["python3", "bootstrap.py"] else words
            if words[:1] == ["offloader"]:
                end = next((place for place, word in enumerate(words) if word in (">", "|", "&&")), len(words))
                found.append((f"{block.page.relative_to(ROOT)}:{number}", words[1:end]))
    return found


@pytest.mark.parametrize(("place", "arguments"), command_lines(), ids=lambda value: str(value)[:80])
def test_command_lines_parse(place: str, arguments: list[str]) -> None:
    """Every command line on a page names a command that exists, with options that it takes."""
    command: Any = typer.main.get_command(app)
    context, name = None, "offloader"
    while True:
        context = command.make_context(name, arguments, parent=context)
        left = [*context._protected_args, *context.args] if hasattr(command, "resolve_command") else []
        if not left and not (hasattr(command, "resolve_command") and not command.invoke_without_command):
            break
        name, command, arguments = command.resolve_command(context, left)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    """Every link of a page leads to a file that exists, and its anchor to a heading."""
    text = _CODE.sub("", text_of(page))
    for target in [*_LINK.findall(text), *_IMAGE.findall(text)]:
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("image", sorted((DOCS / "images").glob("*.svg")), ids=lambda image: image.name)
def test_pictures_load_nothing(image: Path) -> None:
    """A picture is well-formed, brings no script, and fetches nothing from anywhere."""
    text = text_of(image)

    assert ET.fromstring(text).tag.endswith("svg")
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)|<script|url\((?!#)", text) == []


def test_every_page_can_be_reached() -> None:
    """From the README, links lead to every page."""
    seen, ahead = set(), [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = [target for target in _LINK.findall(_CODE.sub("", text_of(page))) if not target.startswith("http")]
        ahead += [(page.parent / target.partition("#")[0]).resolve() for target in targets]

    assert set(pages()) <= seen


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "offloader"])
def test_commands_and_options_are_explained(name: str) -> None:
    """Every command, and every option of it, stands on a page that a person wrote, and in the reference."""
    prose = "\n".join(text_of(page) for page in written())
    word = name.removeprefix("offloader ")
    assert re.search(rf"`(offloader )?{word}\b|offloader (-c \S+ )?{word}\b", prose), word
    reference = text_of(DOCS / "reference/cli.md")
    for parameter in COMMANDS[name].params:
        for option in parameter.opts:
            if option.startswith("--"):
                assert option in prose, f"{name} {option}"
                assert option in reference, f"{name} {option}"


@pytest.mark.parametrize("code", list(Exit))
def test_exit_codes_are_explained(code: Exit) -> None:
    """Every exit code stands in the table of the page about running."""
    assert re.search(rf"^\| {int(code)} \| \w", text_of(DOCS / "run.md"), re.MULTILINE)


@pytest.mark.parametrize(
    ("skips", "page"),
    [(salesforce_skip, "salesforce.md"), (dynamics_skip, "dynamics365.md")],
    ids=["salesforce", "dynamics365"],
)
def test_skips_are_explained(skips: ModuleType, page: str) -> None:
    """Every reason for which a source leaves a file stands in the table of its page."""
    codes = {value.code for value in vars(skips).values() if isinstance(value, Skip)} - {OWN_LINK}

    assert codes
    assert [code for code in sorted(codes) if f"| `{code}` |" not in text_of(DOCS / page)] == []


def test_codes_are_explained() -> None:
    """Every rule mode and every fault that the emulators can play is explained."""
    policy, emulator = (text_of(DOCS / name) for name in ("policy.md", "emulator.md"))

    assert [mode for mode in tables.Mode if f"`{mode}`" not in policy] == []
    assert {mode for mode, _ in generate.MODES} == set(tables.Mode)
    assert [act for act in ACTS if f"`do: {act}`" not in emulator] == []


def test_emulated_options_and_changes_are_explained() -> None:
    """Every option of the emulated environment has a meaning, and every change by script stands in the reference."""
    page = text_of(DOCS / "reference/emulator.md")

    assert re.findall(r"^\| `.*\|  \|$", page, re.MULTILINE) == []
    assert [key for key in dynamics_edits._ACTIONS if f"| `{key}` |" not in page] == []


def test_emulated_operations_are_explained() -> None:
    """Every operation that the emulated environment counts under a name of our own is on the page."""
    folder = ROOT / "connectors/offloader_connectors/dynamics365/emulator"
    sources = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    named = set(re.findall(r"Resource\(\s*f?\"([a-z][a-z.]*)\"", sources))
    by_table = set(re.findall(r"Resource\(\s*f\"([a-z]+)\.\{", sources))

    assert len(named) > 10
    assert len(by_table) > 3
    wanted = {f"`{name}`" for name in named} | {f"`{name}.TABLE`" for name in by_table}
    assert [name for name in sorted(wanted) if name not in text_of(DOCS / "emulator.md")] == []


@pytest.mark.parametrize("folder", ["offloader/moves", "policies/offloader_policies"])
def test_reasons_are_explained(folder: str) -> None:
    """Every code that the engine or the policy gives a reason stands on the page about the policy."""
    policy = text_of(DOCS / "policy.md")
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / folder).glob("*.py"))
    codes = set(re.findall(r"Reason\(\s*\"([A-Z_]+)\"", sources)) | set(re.findall(r"code = \"([A-Z_]+)\"", sources))

    assert codes
    assert [code for code in sorted(codes) if f"`{code}`" not in policy] == []


def test_findings_are_explained() -> None:
    """Every permission that the Salesforce check can miss stands in the page's table with its code."""
    check = (ROOT / "connectors/offloader_connectors/salesforce/check.py").read_text(encoding="utf-8")
    scan = (ROOT / "connectors/offloader_connectors/salesforce/scan.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'"(no-(?:api|view|modify|audit|update|query)[a-z-]+)"', check + scan))

    assert len(codes) == 6
    assert [code for code in sorted(codes) if f"`{code}`" not in text_of(DOCS / "salesforce.md")] == []


def test_dynamics_findings_are_explained() -> None:
    """Every finding of the Dynamics 365 check, and of its scans, stands on its page."""
    folder = ROOT / "connectors/offloader_connectors/dynamics365"
    sources = "\n".join(
        (folder / f"{name}.py").read_text(encoding="utf-8") for name in ("check", "permissions", "scan")
    )
    codes = set(re.findall(r"Finding\(\s*Severity\.\w+,\s*\"([a-z-]+)\"", sources))
    codes |= set(re.findall(r"_good\(\s*\"([a-z-]+)\"", sources))

    assert len(codes) > 15
    assert [code for code in sorted(codes) if f"`{code}`" not in text_of(DOCS / "dynamics365.md")] == []


@pytest.mark.parametrize("option", DynamicsOptions.model_fields)
def test_dynamics_options_are_explained(option: str) -> None:
    """Every option of the Dynamics 365 source is on its page, in an example or in a sentence."""
    assert re.search(rf"`{option}\b|^ +{option}:", text_of(DOCS / "dynamics365.md"), re.MULTILINE)


def test_generated_pages_are_current() -> None:
    """What docs/generate.py would write is what stands there."""
    assert generate.stale() == [], "run: .venv/bin/python docs/generate.py"


def test_every_plugin_option_has_a_sentence() -> None:
    """No key in the configuration reference lacks its meaning."""
    rows = [line for line in text_of(DOCS / "reference/configuration.md").splitlines() if line.startswith("| `")]
    empty = [row for row in rows if row.endswith("|  |") and ".type`" not in row]

    assert rows
    assert empty == []


def test_the_quick_start_is_two_commands() -> None:
    """The README's quick start is one block of two lines that do all their own set-up."""
    section = text_of(ROOT / "README.md").partition("## Quick start\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```\w*\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)

    assert found == ["python3 bootstrap.py offloader demo\npython3 bootstrap.py pytest -n 3 -q\n"]
    assert (ROOT / "bootstrap.py").is_file()


def test_the_changelog_knows_the_version() -> None:
    """The program's version has an entry, and it is the newest one."""
    versions = re.findall(r"^## (\d\S*)", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)

    assert versions[:1] == [__version__]


def test_the_status_page_names_what_is_installed() -> None:
    """The page of what works names every installed command, and promises no connector that is not there."""
    status = text_of(DOCS / "status.md")
    works, _, missing = status.partition("## Not yet")
    points = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]

    top = [name.removeprefix("offloader ") for name, command in COMMANDS.items() if not hasattr(command, "commands")]
    assert [name for name in top if f"`{name}`" not in works] == []
    for name in ("s3", "azure_blob", "dynamics365"):
        assert any(name in group for group in points.values()) or name[:5].lower() in missing.lower()


def test_login_types_are_explained() -> None:
    """Every login that the gateway can be configured with stands on the page about links."""
    kinds = [model.model_fields["type"].annotation for model in get_args(_login()) if hasattr(model, "model_fields")]

    assert [kind for kind in kinds if f"type: {get_args(kind)[0]}" not in text_of(DOCS / "links.md")] == []


def _login() -> Any:
    gateway: Any = Settings.model_fields["gateway"].annotation
    return gateway.model_fields["login"].annotation
