"""What check finds, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from offloader.errors import Transient
from offloader.model import Finding, Severity
from offloader_connectors.dynamics365.emulator.options import BLOCKED, OrgOptions
from offloader_connectors.dynamics365.source import DynamicsSource

from .bench import World
from .conftest import Open


def bad(findings: Sequence[Finding]) -> dict[str, Finding]:
    """Findings that are not OK, by code; each says what to do."""
    found = {each.code: each for each in findings if each.severity is not Severity.OK}
    assert all(each.remedy for each in found.values())
    return found


def good(findings: Sequence[Finding]) -> dict[str, str]:
    return {each.code: each.message for each in findings if each.severity is Severity.OK}


def roles(world: World, *names: str) -> None:
    """Give the application user these roles and no others."""
    user = world.org.get("systemuser", world.org.integration_user)
    assert user is not None
    world.org.user(username=str(user["domainname"]), roles=names)


def test_a_sound_environment(world: World, source: DynamicsSource) -> None:
    """Nothing is wrong where nothing is wrong; login, pace, placeholder, sizes and routes are said."""
    world.note()
    findings = source.check()

    assert bad(findings) == {}
    told = good(findings)
    assert {"login", "pace", "reads-all", "writes", "change-tracking", "placeholder", "upload-size"} <= told.keys()
    assert world.org.integration_user in told["login"]
    assert "16 calls" in told["pace"]
    assert ".url" in told["placeholder"]
    assert "98304000" in told["upload-size"]
    assert "Azure Storage" in told["downloads"]
    assert "not tried" not in told["downloads"]


def test_an_empty_environment(source: DynamicsSource) -> None:
    """Without a document to try with, the routes are said to be untried."""
    assert "not tried" in good(source.check())["downloads"]


@pytest.mark.parametrize(
    "options",
    [
        {"client_secret": "file:wrong_secret"},
        {"tenant": "no-such-tenant.example"},
        {"client_id": "99999999-2222-4333-8444-555555555555"},
        {"client_secret": "file:nowhere"},
        {"client_secret": "env:NOWHERE"},
        {"login_url": "https://127.0.0.1:9"},
        {"client_secret": None, "certificate": "file:wrong_secret"},
    ],
)
def test_a_login_that_fails(world: World, open_source: Open, options: dict[str, Any]) -> None:
    """One error says that nothing can be seen, and holds no secret."""
    (world.directory / "wrong_secret").write_text("wr0ng-s3cret")
    source = open_source(**options)
    (finding,) = bad(source.check()).values()
    assert (finding.severity, finding.code) == (Severity.ERROR, "login")
    assert finding.hides == "everything"
    assert "wr0ng" not in str(finding)


def test_a_server_that_is_not_trusted(open_source: Open) -> None:
    """Without its authority in ca_file, the server cannot be reached, and the error names the remedy."""
    with pytest.raises(Transient, match="set ca_file"):
        open_source(ca_file=None).check()


def test_a_user_without_roles(world: World, source: DynamicsSource) -> None:
    """Missing privileges are named one by one with what they hide or prevent."""
    roles(world, "Basic User")
    found = bad(source.check())

    assert {"notes-hidden", "mails-hidden", "records-hidden"} <= found.keys()
    assert all(found[code].hides for code in ("notes-hidden", "mails-hidden", "records-hidden"))
    assert "account" in found["records-hidden"].message


def test_a_user_who_may_only_read(world: World, source: DynamicsSource) -> None:
    """Reading everything without writing is an error before any run."""
    roles(world, "Reader")
    found = bad(source.check())

    assert found["no-write-privilege"].severity is Severity.ERROR
    assert "prvWriteNote" in found["no-write-privilege"].message
    assert "notes-hidden" not in found


def test_a_user_who_is_none(world: World, source: DynamicsSource) -> None:
    """An application user that is disabled, or not in the environment, is an error that says everything is hidden."""
    world.org.update("systemuser", world.org.integration_user, {"isdisabled": True})
    (finding,) = bad(source.check()).values()

    assert (finding.severity, finding.hides) == (Severity.ERROR, "everything")


def test_bypassing_needs_a_privilege(world: World, open_source: Open) -> None:
    """bypass_custom_logic without its privilege is an error."""
    columns = (f"prv{right}{table}" for right in ("Write", "AppendTo") for table in ("Account", "Contact"))
    roles(world, "Reader", "prvWriteNote", "prvWriteActivity", "prvCreateNote", "prvAppendNote", *columns)
    source = open_source(bypass_custom_logic=True)

    assert bad(source.check()).keys() == {"no-bypass-privilege"}


@pytest.mark.parametrize(
    ("blocked", "placeholder", "code", "shown"),
    [
        (("url",), "auto", None, ".html"),
        (("url", "html"), "auto", None, ".txt"),
        (("url", "html", "txt"), "auto", "placeholders-blocked", ""),
        (("url",), "url", "placeholder-blocked", ""),
        (("url",), "txt", None, ".txt"),
    ],
)
def test_the_form_of_placeholders(
    world: World, open_source: Open, blocked: tuple[str, ...], placeholder: str, code: str | None, shown: str
) -> None:
    """The first form that is not blocked is chosen and shown; none at all is an error."""
    world.org.options = world.org.options.changed({"blocked_extensions": [*BLOCKED, *blocked]})
    findings = open_source(placeholder=placeholder).check()

    assert set(bad(findings)) == ({code} if code else set())
    assert shown in good(findings).get("placeholder", "")


class TestOtherEnvironments:
    @pytest.fixture
    def org_options(self) -> OrgOptions:
        return OrgOptions(sas=False)

    def test_a_route_that_is_closed(self, world: World, source: DynamicsSource) -> None:
        """Where storage addresses are not given out, large bodies go in blocks, and a warning says so."""
        world.note()
        findings = source.check()

        assert "in blocks" in good(findings)["downloads"]
        assert "download-route" in bad(findings)


def test_no_change_tracking(world: World, source: DynamicsSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without change tracking of notes, deletions are not found: a warning."""
    monkeypatch.setattr(world.org.table("annotation"), "tracking", False)

    assert bad(source.check()).keys() == {"no-change-tracking"}


def test_names_that_the_environment_does_not_have(world: World, open_source: Open) -> None:
    """Signals and link columns that name no column are found before a run."""
    source = open_source(
        signals={"account": {"segment": "new_nosuch", "good": "name"}, "nosuchtable": {"x": "y"}},
        link_columns={"account.new_dossier": "new_nosuchlink"},
    )
    found = bad(source.check())

    assert found.keys() == {"no-signal-column", "no-link-column"}
    assert "segment" in found["no-signal-column"].message
    assert "new_nosuchlink" in found["no-link-column"].message


def test_tables_that_the_environment_does_not_have(open_source: Open) -> None:
    """Tables of apps that are not installed are said, and are no mistake."""
    findings = open_source(parents=["account", "new_nosuchtable"]).check()

    assert bad(findings) == {}
    assert "new_nosuchtable" in good(findings)["tables"]


def test_files_in_columns_need_rights_on_their_records(world: World, open_source: Open) -> None:
    """Rights to write are only asked of tables that have such columns, and only if these kinds are to be moved."""
    roles(world, "Reader", "prvWriteNote", "prvWriteActivity", "prvCreateNote", "prvAppendNote", "prvWriteAccount")

    (finding,) = bad(open_source().check()).values()

    assert "prvAppendToaccount" in finding.message
    assert "prvWriteaccount" not in finding.message
    assert "incident" not in finding.message
    assert bad(open_source(kinds=["annotation"]).check()) == {}


def test_another_offloader_and_the_recycle_bin(world: World, source: DynamicsSource) -> None:
    """The settings table of another program is a warning; a recycle bin in use is said."""
    world.org.insert("recyclebinconfig", {"name": "account"})
    text = {"@odata.type": "Microsoft.Dynamics.CRM.Label", "LocalizedLabels": []}
    table = {
        "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata",
        "SchemaName": "msdyn_NotesAttachmentEntitySetting",
        "DisplayName": text,
        "DisplayCollectionName": text,
        "OwnershipType": "OrganizationOwned",
        "HasActivities": False,
        "HasNotes": False,
        "Attributes": [
            {
                "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata",
                "SchemaName": "msdyn_Name",
                "IsPrimaryName": True,
                "MaxLength": 100,
                "DisplayName": text,
            }
        ],
    }
    source._api.send("metadata", "POST", "EntityDefinitions", table)

    findings = source.check()

    assert bad(findings).keys() == {"other-offloader"}
    assert "recycle-bin" in good(findings)


def test_check_changes_nothing(world: World, source: DynamicsSource) -> None:
    """Check makes reading requests only."""
    world.note()
    world.reset_counters()
    source.check()

    counters = world.emulator.counters
    names = {*counters.outer, *counters.inner}
    assert not [name for name in names if name.split(".")[0] in ("create", "patch", "delete", "column", "deletefile")]
