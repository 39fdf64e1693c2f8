"""Many rows at once, deletion in the background, the recycle bin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from tests.integration.dynamics365_emulator.conftest import Crm

NOBODY = "11111111-2222-3333-4444-555555555555"
TYPE = {"@odata.type": "Microsoft.Dynamics.CRM.account"}


def _multiple(crm: Crm, name: str, *targets: dict[str, Any], table: str = "accounts") -> requests.Response:
    return crm.post(f"{table}/Microsoft.Dynamics.CRM.{name}", {"Targets": list(targets)})


def test_create_update_and_upsert_multiple(crm: Crm) -> None:
    """Several rows in one call: ids for new ones, 204 for changes."""
    made = _multiple(crm, "CreateMultiple", {**TYPE, "name": "a"}, {**TYPE, "name": "b"}).json()["Ids"]
    assert len(made) == 2
    changes = [{**TYPE, "accountid": key, "description": "x"} for key in made]
    assert _multiple(crm, "UpdateMultiple", *changes).status_code == 204
    upserts = [{**TYPE, "accountid": made[0], "name": "c"}, {**TYPE, "accountid": NOBODY, "name": "d"}]
    assert _multiple(crm, "UpsertMultiple", *upserts).status_code == 204
    rows = crm.rows("accounts", **{"$select": "name,description", "$orderby": "name"})
    assert [(row["name"], row["description"]) for row in rows] == [("b", "x"), ("c", "x"), ("d", None)]


def test_multiple_is_all_or_none(crm: Crm) -> None:
    """One wrong target undoes the others."""
    account = crm.account()
    targets = [{**TYPE, "accountid": account, "name": "x"}, {**TYPE, "accountid": NOBODY, "name": "y"}]
    assert _multiple(crm, "UpdateMultiple", *targets).status_code == 404
    row = crm.org.get("account", account)
    assert row is not None
    assert row["name"] == "Acme"


@pytest.mark.parametrize("table", ["annotations", "activitymimeattachments", "attachments"])
@pytest.mark.parametrize("name", ["CreateMultiple", "UpdateMultiple", "UpsertMultiple"])
def test_notes_and_attachments_have_no_bulk_messages(crm: Crm, table: str, name: str) -> None:
    """The messages do not exist on these tables, as sdkmessagefilters says."""
    assert _multiple(crm, name, {"@odata.type": "x"}, table=table).status_code == 404
    where = f"sdkmessageid/name eq '{name}' and primaryobjecttypecode eq '{table.removesuffix('s')}'"
    assert crm.rows("sdkmessagefilters", **{"$select": "sdkmessagefilterid", "$filter": where}) == []


def test_delete_multiple_is_not_there_yet(crm: Crm) -> None:
    """Standard tables refuse DeleteMultiple in the service's words."""
    answer = _multiple(crm, "DeleteMultiple", TYPE)
    assert crm.error(answer)[2] == "DeleteMultiple has not yet been implemented."


def _delete(crm: Crm, table: str, conditions: list[dict[str, Any]], operator: str = "And") -> str:
    prefix = "Microsoft.Dynamics.CRM."
    query = {
        "@odata.type": f"{prefix}QueryExpression",
        "EntityName": table,
        "ColumnSet": {"@odata.type": f"{prefix}ColumnSet", "AllColumns": True, "Columns": []},
        "Criteria": {"FilterOperator": operator, "Conditions": conditions, "Filters": []},
    }
    body = {"QuerySet": [query], "JobName": "tidy", "SendEmailNotification": False, "ToRecipients": []}
    body |= {"CCRecipients": [], "RecurrencePattern": "", "StartDateTime": "2026-01-01T00:00:00Z"}
    answer = crm.post("BulkDelete", body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["JobId"])


def _in(column: str, *values: str) -> dict[str, Any]:
    listed = [{"Value": value, "Type": "System.Guid"} for value in values]
    return {"AttributeName": column, "Operator": "In", "Values": listed}


def test_a_bulk_deletion_runs_later_and_by_what_it_finds_then(crm: Crm) -> None:
    """Rows are gone only once the job ran; one that no longer fits the query stays, and one made after it too."""
    first, second = crm.account(name="old"), crm.account(name="old")
    job = _delete(crm, "account", [{"AttributeName": "name", "Operator": "Equal", "Values": [{"Value": "old"}]}])
    assert crm.org.get("account", first) is not None
    crm.patch(f"accounts({second})", {"name": "changed"})
    crm.org.shift = timedelta(minutes=1)
    third = crm.account(name="old")
    done = crm.get(f"asyncoperations({job})", params={"$select": "statecode,statuscode"}).json()
    assert (done["statecode"], done["statuscode"]) == (3, 30)
    assert {row["accountid"] for row in crm.rows("accounts", **{"$select": "name"})} == {second, third}
    (operation,) = crm.rows("bulkdeleteoperations", **{"$select": "successcount,failurecount"})
    assert (operation["successcount"], operation["failurecount"]) == (1, 0)


def test_failures_of_a_bulk_deletion_are_listed(crm: Crm) -> None:
    """A row that cannot be deleted stays, is counted, and is named with its error."""
    crm.options(completed_mail_locked=True)
    locked = crm.attachment(crm.mail()).id
    free = crm.attachment(crm.mail(statecode=0, statuscode=1)).id
    _delete(crm, "activitymimeattachment", [_in("activitymimeattachmentid", locked, free)])
    (failure,) = crm.rows("bulkdeletefailures", **{"$select": "regardingobjectid,errornumber"})
    assert failure["regardingobjectid"] == locked
    assert failure["errornumber"] == 0x80040228 - 2**32
    assert crm.org.get("activitymimeattachment", free) is None
    assert crm.org.get("activitymimeattachment", locked) is not None


def test_bulk_deletion_needs_its_privilege_and_a_good_query(crm: Crm) -> None:
    """A wrong column is refused at once; so is a user without prvBulkDelete."""
    body = {"QuerySet": [{"EntityName": "account", "Criteria": {"Conditions": [_in("nothing", NOBODY)]}}]}
    assert crm.post("BulkDelete", body).status_code == 400
    crm.as_user("Basic User")
    assert crm.error(crm.post("BulkDelete", body))[:2] == (403, "0x80040220")


def test_deleted_rows_come_back_from_the_bin(crm: Crm) -> None:
    """With the bin on, Restore brings a row and its notes back; without it they are gone."""
    account = crm.account()
    note = crm.note(account)
    target = {"Target": {**TYPE, "accountid": account}}
    crm.options(recycle_bin=True)
    assert crm.request("DELETE", f"accounts({account})").status_code == 204
    assert crm.org.get("annotation", note) is None
    assert crm.post("Restore", target).status_code == 200
    assert crm.get(f"annotations({note})/documentbody/$value").status_code == 200
    crm.options(recycle_bin=False)
    crm.request("DELETE", f"accounts({account})")
    assert crm.post("Restore", target).status_code == 404
