"""Roles, ownership, sharing and impersonation."""

from __future__ import annotations

from tests.integration.dynamics365_emulator.conftest import Crm


def _rights(crm: Crm, user: str, path: str) -> str:
    call = f"systemusers({user})/Microsoft.Dynamics.CRM.RetrievePrincipalAccess(Target=@p1)"
    answer = crm.get(f"{call}?@p1={{'@odata.id':'{path}'}}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["@odata.context"].endswith("#Microsoft.Dynamics.CRM.RetrievePrincipalAccessResponse")
    return str(answer.json()["AccessRights"])


def test_rights_of_a_user_on_a_row(crm: Crm) -> None:
    """An administrator has all rights in their order, an owner those of his role, a stranger None."""
    user = crm.org.user(username="owner@example.com", roles=("Basic User",))
    stranger = crm.org.user(username="stranger@example.com", roles=("Basic User",))
    note = f"annotations({crm.note(crm.account(), owner=user)})"
    everything = (
        "ReadAccess, WriteAccess, AppendAccess, AppendToAccess, CreateAccess, DeleteAccess, ShareAccess, AssignAccess"
    )
    assert _rights(crm, crm.org.integration_user, note) == everything
    assert _rights(crm, user, note).startswith("ReadAccess, WriteAccess")
    assert "ReadAccess" not in _rights(crm, stranger, note)
    assert crm.emulator.counters.outer["access"] == 3


def test_rights_are_told_only_to_who_may_read_the_row(crm: Crm) -> None:
    """Asking about a row that one may not read is 403, and about one that is not there 404."""
    account, user = crm.account(), crm.as_user("Basic User")
    call = f"systemusers({user})/Microsoft.Dynamics.CRM.RetrievePrincipalAccess(Target=@p1)"
    assert crm.get(f"{call}?@p1={{'@odata.id':'accounts({account})'}}").status_code == 403
    assert crm.get(f"{call}?@p1={{'@odata.id':'accounts({user})'}}").status_code == 404


def test_a_disabled_user_has_no_rights(crm: Crm) -> None:
    """Whatever the roles, a disabled user's rights are None."""
    user = crm.org.user(username="gone@example.com", roles=("System Administrator",), active=False)
    assert _rights(crm, user, f"accounts({crm.account()})") == "None"


def test_sharing_opens_a_row_and_its_notes(crm: Crm) -> None:
    """A shared note can be read, a note of a shared record too, and only by whom it was shared with."""
    user = crm.as_user("Basic User")
    account = crm.account()
    one, two = crm.note(account), crm.note(crm.account())
    assert crm.get(f"annotations({one})").status_code == 403
    crm.org.share("annotation", two, user)
    assert crm.get(f"annotations({two})").status_code == 200
    crm.org.share("account", account, user)
    assert crm.get(f"annotations({one})").status_code == 200
    assert {row["annotationid"] for row in crm.rows("annotations", **{"$select": "subject"})} == {one, two}
    assert crm.error(crm.patch(f"annotations({one})", {"subject": "x"}))[:2] == (403, "0x80048306")


def test_grant_and_revoke_access(crm: Crm) -> None:
    """The messages that share a row do, and its shares can be listed."""
    user, account = crm.org.user(username="u@example.com", roles=("Basic User",)), crm.account()
    row = {"accountid": account, "@odata.type": "Microsoft.Dynamics.CRM.account"}
    person = {"systemuserid": user, "@odata.type": "Microsoft.Dynamics.CRM.systemuser"}
    grant = {"Target": row, "PrincipalAccess": {"Principal": person, "AccessMask": "ReadAccess, WriteAccess"}}
    assert crm.post("GrantAccess", grant).status_code == 204
    assert "ReadAccess, WriteAccess" in _rights(crm, user, f"accounts({account})")
    path = f"RetrieveSharedPrincipalsAndAccess(Target=@p1)?@p1={{'@odata.id':'accounts({account})'}}"
    (found,) = crm.get(path).json()["PrincipalAccesses"]
    assert (found["Principal"]["systemuserid"], found["AccessMask"]) == (user, "ReadAccess, WriteAccess")
    assert crm.post("RevokeAccess", {"Target": row, "Revokee": person}).status_code == 204
    assert "ReadAccess" not in _rights(crm, user, f"accounts({account})")


def test_attachments_have_the_rights_of_their_mail(crm: Crm) -> None:
    """Who may not read the mail sees neither its attachments nor the shared bytes, and no rights of their own exist."""
    user = crm.as_user("Basic User")
    mail = crm.mail()
    attachment = crm.attachment(mail)
    assert crm.rows("activitymimeattachments", **{"$select": "filename"}) == []
    assert crm.rows("attachments", **{"$select": "filename"}) == []
    crm.org.share("email", mail, user)
    assert len(crm.rows("activitymimeattachments", **{"$select": "filename"})) == 1
    assert len(crm.rows("attachments", **{"$select": "filename"})) == 1
    crm.login()
    call = f"systemusers({user})/Microsoft.Dynamics.CRM.RetrievePrincipalAccess(Target=@p1)"
    refused = crm.get(f"{call}?@p1={{'@odata.id':'activitymimeattachments({attachment.id})'}}")
    assert crm.error(refused)[0] == 405


def test_a_missing_privilege_is_named(crm: Crm) -> None:
    """A refused call says who lacks which privilege on which table."""
    user = crm.as_user("prvReadAccount")
    status, code, text = crm.error(crm.get("incidents"))
    assert (status, code) == (403, "0x80040220")
    assert f"Principal user (Id={user}, type=8, roleCount=1, privilegeCount=1, accessMode=0)" in text
    assert "is missing prvReadIncident privilege" in text
    assert "on OTC=112 for entity 'incident'" in text


def test_privileges_of_a_user(crm: Crm) -> None:
    """RetrieveUserPrivileges lists name, depth and ids."""
    user = crm.org.user(username="u@example.com", roles=("prvReadNote:Local", "prvBulkDelete"))
    answer = crm.get(f"systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()").json()
    found = {item["PrivilegeName"]: item["Depth"] for item in answer["RolePrivileges"]}
    assert found == {"prvReadNote": "Local", "prvBulkDelete": "Global"}
    assert crm.emulator.counters.outer["privileges"] == 1


def test_depths(crm: Crm) -> None:
    """Local reaches the own business unit, Deep those below it, Basic only own rows."""
    below = crm.org.insert("businessunit", {"name": "below", "parentbusinessunitid": _unit(crm)})
    here = crm.org.user(username="here@example.com")
    there = crm.org.user(username="there@example.com", business_unit=below)
    names = {user: crm.account(name=user, ownerid=("systemuser", user)) for user in (here, there)}
    for depth, wanted in (("Basic", set()), ("Local", {here}), ("Deep", {here, there}), ("Global", {here, there})):
        crm.as_user(f"prvReadAccount:{depth}")
        assert {row["name"] for row in crm.rows("accounts", **{"$select": "name"})} == wanted
    crm.as_user("prvReadAccount:Deep", username="low@example.com", business_unit=below)
    assert {row["name"] for row in crm.rows("accounts", **{"$select": "name"})} == {there}
    assert len(names) == 2


def _unit(crm: Crm) -> str:
    return str(next(iter(crm.org.rows("businessunit")))["businessunitid"])


def test_impersonation_is_the_intersection(crm: Crm) -> None:
    """By object id or by user id: rights of both, the user's name on what is written, and only if allowed."""
    oid = "aaaaaaaa-0000-0000-0000-000000000001"
    user = crm.org.user(username="u@example.com", roles=("Basic User",), oid=oid)
    own, foreign = crm.account(ownerid=("systemuser", user)), crm.account()
    for header in ({"CallerObjectId": oid}, {"MSCRMCallerID": user}):
        assert crm.get(f"accounts({own})", headers=header).status_code == 200
        assert crm.get(f"accounts({foreign})", headers=header).status_code == 403
        assert crm.get("WhoAmI", headers=header).json()["UserId"] == user
    crm.as_user("prvReadAccount", username="weak@example.com")
    refused = crm.get(f"accounts({own})", headers={"MSCRMCallerID": user})
    assert crm.error(refused)[:2] == (403, "0x80040220")
    crm.as_user("Delegate", "Basic User", username="basic@example.com")
    assert crm.get(f"accounts({own})", headers={"MSCRMCallerID": user}).status_code == 403
    crm.as_user("Delegate", username="delegate@example.com")
    assert crm.get(f"accounts({own})", headers={"MSCRMCallerID": user}).status_code == 403
    crm.login()
    unknown = crm.get("WhoAmI", headers={"CallerObjectId": own})
    assert crm.error(unknown)[:2] == (403, "0x8004a110")


def test_who_may_not_enter(crm: Crm) -> None:
    """A disabled user, and one without a role, are told so."""
    crm.as_user("Basic User", active=False)
    assert crm.error(crm.get("WhoAmI"))[:2] == (403, "0x8004a112")
    crm.as_user()
    assert crm.error(crm.get("WhoAmI"))[:2] == (403, "0x80042f09")


def test_bypassing_business_logic_needs_the_privilege(crm: Crm) -> None:
    """The header is taken from those who may, and refused to others."""
    bypass = {"MSCRM.BypassBusinessLogicExecution": "CustomSync,CustomAsync"}
    assert crm.post("accounts", {"name": "x"}, **bypass).status_code == 204
    crm.as_user("Basic User")
    assert crm.post("accounts", {"name": "x"}).status_code == 204
    assert crm.error(crm.post("accounts", {"name": "x"}, **bypass))[:2] == (403, "0x80040220")
