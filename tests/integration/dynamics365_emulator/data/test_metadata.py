"""Tables, columns, relationships and keys as the Web API describes and changes them, and `$metadata`."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from offloader_connectors.dynamics365.emulator import csdl
from offloader_connectors.dynamics365.emulator.definitions import Designer
from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.metadata import Definitions, changes
from offloader_connectors.dynamics365.emulator.org import Org
from offloader_connectors.dynamics365.emulator.paths import segments
from tests.integration.dynamics365_emulator.data.conftest import NOON, Plain

_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
_CRM = "Microsoft.Dynamics.CRM."


def read(plain: Plain, path: str, **options: str) -> Any:
    given = {f"${name}": value for name, value in options.items()}
    return Definitions(plain.org).read(segments(path), given)


def names(plain: Plain, path: str, **options: str) -> list[str]:
    return [one["LogicalName"] for one in read(plain, path, **options)["value"]]


def write(plain: Plain, method: str, path: str, **payload: Any) -> str | None:
    return Designer(plain.org).write(method, segments(path), payload)


def make_table(plain: Plain, name: str = "new_Car") -> None:
    column = {"@odata.type": f"{_CRM}ComplexStringAttributeMetadata", "SchemaName": "new_Name", "IsPrimaryName": True}
    payload = {"SchemaName": name, "HasNotes": True, "OwnershipType": "UserOwned", "Attributes": [column]}
    Designer(plain.org).create_tables({"Entities": [payload]})


def test_tables(plain: Plain) -> None:
    """The list of tables says of each what a client needs to scan it."""
    select = (
        "LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,ObjectTypeCode,HasNotes,"
        "ChangeTrackingEnabled,IsOptimisticConcurrencyEnabled,OwnershipType"
    )
    tables = {one.pop("LogicalName"): one for one in read(plain, "EntityDefinitions", select=select)["value"]}
    note = tables["annotation"]
    assert note.pop("MetadataId")
    assert note == {
        "EntitySetName": "annotations",
        "PrimaryIdAttribute": "annotationid",
        "PrimaryNameAttribute": "subject",
        "ObjectTypeCode": 5,
        "HasNotes": False,
        "ChangeTrackingEnabled": True,
        "IsOptimisticConcurrencyEnabled": True,
        "OwnershipType": "UserOwned",
    }
    assert tables["activitymimeattachment"]["OwnershipType"] == "None"
    assert tables["email"]["PrimaryIdAttribute"] == "activityid"
    assert tables["new_shipment"]["HasNotes"] is True


def test_filters_on_tables(plain: Plain) -> None:
    """Filters by flag and by managed property."""
    assert "activitymimeattachment" not in names(plain, "EntityDefinitions", filter="ChangeTrackingEnabled eq true")
    where = "CanCreateAttributes/Value eq false"
    assert names(plain, "EntityDefinitions", filter=where) == ["annotation"]
    where = "IsPrivate eq false and (SchemaName eq 'Account' or startswith(LogicalName,'new_'))"
    assert names(plain, "EntityDefinitions", filter=where) == ["account", "new_shipment"]


def test_one_table_by_name_and_by_id(plain: Plain) -> None:
    """A table is found by LogicalName and by MetadataId; one that is not there is a 404."""
    by_name = read(plain, "EntityDefinitions(LogicalName='account')")
    assert read(plain, f"EntityDefinitions({by_name['MetadataId']})") == by_name
    with pytest.raises(DataverseError) as caught:
        read(plain, "EntityDefinitions(LogicalName='nonsense')")
    assert caught.value.status == 404


def test_file_and_image_columns(plain: Plain) -> None:
    """The casts give file columns with their size and image columns with their kind."""
    path = "EntityDefinitions(LogicalName='new_shipment')/Attributes/Microsoft.Dynamics.CRM."
    (file,) = read(plain, f"{path}FileAttributeMetadata", select="LogicalName,MaxSizeInKB")["value"]
    assert (file["LogicalName"], file["MaxSizeInKB"]) == ("new_contract", 131_072)
    select = "LogicalName,CanStoreFullImage,IsPrimaryImage,MaxSizeInKB"
    (image,) = read(plain, f"{path}ImageAttributeMetadata", select=select)["value"]
    assert (image["LogicalName"], image["CanStoreFullImage"], image["IsPrimaryImage"]) == ("new_photo", True, False)
    where = "canstorefullimage eq true"
    rows = plain.ask("attributeimageconfig", select="parententitylogicalname,attributelogicalname", filter=where)
    found = {(row["parententitylogicalname"], row["attributelogicalname"]) for row in rows["value"]}
    assert {("contact", "entityimage"), ("new_shipment", "new_photo")} <= found
    assert ("account", "entityimage") not in found


def test_typed_properties_need_the_cast(plain: Plain) -> None:
    """A property of one type of column cannot be selected of all columns."""
    path = "EntityDefinitions(LogicalName='account')/Attributes"
    with pytest.raises(DataverseError, match="MaxLength"):
        read(plain, path, select="LogicalName,MaxLength")
    typed = read(plain, f"{path}(LogicalName='name')/Microsoft.Dynamics.CRM.StringAttributeMetadata")
    assert (typed["MaxLength"], typed["IsPrimaryName"]) == (160, True)
    plain_one = read(plain, f"{path}(LogicalName='name')", select="SchemaName")
    assert plain_one["@odata.type"] == "#Microsoft.Dynamics.CRM.StringAttributeMetadata"


def test_enum_filter(plain: Plain) -> None:
    """Columns are filtered by their type, as an enum literal or as text."""
    path = "EntityDefinitions(LogicalName='incident')/Attributes"
    literal = "AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'Picklist'"
    assert names(plain, path, filter=literal) == ["caseorigincode", "casetypecode", "prioritycode"]
    assert names(plain, path, filter="AttributeType eq 'Customer'") == ["customerid"]


def test_options_of_a_choice(plain: Plain) -> None:
    """A choice's options come with $expand, with values and labels."""
    path = "EntityDefinitions(LogicalName='email')/Attributes/Microsoft.Dynamics.CRM.StatusAttributeMetadata"
    (status,) = read(plain, path, select="LogicalName", expand="OptionSet($select=Options)")["value"]
    options = {one["Value"]: (one["Label"]["UserLocalizedLabel"]["Label"], one["State"])
               for one in status["OptionSet"]["Options"]}  # fmt: skip
    assert options[3] == ("Sent", 1)
    assert options[6] == ("Pending Send", 1)
    assert options[8] == ("Failed", 0)


def test_relationships(plain: Plain) -> None:
    """A relationship names both ends, both properties, and what deleting does."""
    path = "EntityDefinitions(LogicalName='annotation')/ManyToOneRelationships"
    (found,) = read(plain, path, filter="ReferencedEntity eq 'account'")["value"]
    assert found["ReferencingEntityNavigationPropertyName"] == "objectid_account"
    assert found["ReferencedEntityNavigationPropertyName"] == "Account_Annotation"
    assert found["CascadeConfiguration"]["Delete"] == "Cascade"
    same = read(plain, "EntityDefinitions(LogicalName='account')/OneToManyRelationships")["value"]
    assert found["SchemaName"] in {one["SchemaName"] for one in same}
    by_name = read(plain, "RelationshipDefinitions(SchemaName='Account_Annotation')")
    assert by_name["MetadataId"] == found["MetadataId"]


def test_metadata_changes(plain: Plain) -> None:
    """RetrieveMetadataChanges gives typed columns of one table in one answer."""
    condition = {"PropertyName": "LogicalName", "ConditionOperator": "Equals"}
    query = {
        "Criteria": {"Conditions": [{**condition, "Value": {"Type": "System.String", "Value": "annotation"}}]},
        "Properties": {"PropertyNames": ["LogicalName", "Attributes"]},
        "AttributeQuery": {
            "Criteria": {"Conditions": [{**condition, "Value": {"Type": "System.String", "Value": "filename"}}]},
            "Properties": {"PropertyNames": ["LogicalName", "MaxLength"]},
        },
    }
    (table,) = changes(plain.org, query)["EntityMetadata"]
    (column,) = table["Attributes"]
    assert (column["LogicalName"], column["MaxLength"]) == ("filename", 255)


def test_bulk_messages_are_listed(plain: Plain) -> None:
    """sdkmessagefilters say that notes have no UpdateMultiple and custom tables do."""
    where = "sdkmessageid/name eq 'UpdateMultiple' and primaryobjecttypecode eq '{}'"
    for table, count in (("annotation", 0), ("activitymimeattachment", 0), ("new_shipment", 1)):
        found = plain.ask("sdkmessagefilter", select="sdkmessagefilterid", filter=where.format(table))
        assert len(found["value"]) == count


def test_new_table(plain: Plain) -> None:
    """A new table has a key, an owner, dates, and can be written, read and hung notes on at once."""
    make_table(plain)
    assert names(plain, "EntityDefinitions", filter="LogicalName eq 'new_car'") == ["new_car"]
    car = plain.create("new_car", {"new_name": "Red"})
    note = plain.create("annotation", {"subject": "n", "objectid_new_car@odata.bind": f"/new_cars({car})"})
    row = plain.one("new_car", car, select="new_name,createdon,_ownerid_value")
    assert (row["new_name"], row["_ownerid_value"]) == ("Red", plain.org.integration_user)
    with pytest.raises(DataverseError, match="already exists"):
        make_table(plain)
    plain.remove("new_car", car)
    assert plain.org.get("annotation", note) is None


def test_new_columns(plain: Plain) -> None:
    """Columns come with their limits, can be changed, filled and taken away."""
    make_table(plain)
    path = "EntityDefinitions(LogicalName='new_car')/Attributes"
    integer = {
        "@odata.type": f"{_CRM}IntegerAttributeMetadata",
        "SchemaName": "new_Doors",
        "MinValue": 0,
        "MaxValue": 9,
    }
    address = write(plain, "POST", path, **integer)
    assert address is not None
    car = plain.create("new_car", {"new_name": "x", "new_doors": 5})
    with pytest.raises(DataverseError) as caught:
        plain.change("new_car", car, new_doors=10)
    assert caught.value.code == "0x80044330"
    write(plain, "PUT", address, **{**integer, "MaxValue": 20})
    plain.change("new_car", car, new_doors=10)
    write(plain, "POST", path, **{"@odata.type": f"{_CRM}FileAttributeMetadata", "SchemaName": "new_Paper"})
    plain.org.set_file("new_car", car, "new_paper", file_name="p.pdf", body=b"x")
    write(plain, "DELETE", f"{path}(LogicalName='new_paper')")
    assert list(plain.org.rows("fileattachment")) == []
    with pytest.raises(DataverseError):
        plain.ask("new_car", select="new_paper")
    with pytest.raises(DataverseError):
        write(plain, "DELETE", "EntityDefinitions(LogicalName='account')/Attributes(LogicalName='name')")


def test_notes_take_no_columns(plain: Plain) -> None:
    """No column can be added to the table of notes."""
    payload = {"@odata.type": f"{_CRM}StringAttributeMetadata", "SchemaName": "new_X"}
    with pytest.raises(DataverseError):
        write(plain, "POST", "EntityDefinitions(LogicalName='annotation')/Attributes", **payload)


def test_new_key(plain: Plain) -> None:
    """A new alternate key finds rows and refuses a second one, until it is deleted."""
    address = write(plain, "POST", "EntityDefinitions(LogicalName='account')/Keys", SchemaName="new_k",
                    KeyAttributes=["accountnumber"])  # fmt: skip
    assert address is not None
    (key,) = read(plain, "EntityDefinitions(LogicalName='account')/Keys")["value"]
    assert (key["KeyAttributes"], key["EntityKeyIndexStatus"]) == (["accountnumber"], "Active")
    plain.create("account", {"name": "a", "accountnumber": "1"})
    with pytest.raises(DataverseError):
        plain.create("account", {"name": "b", "accountnumber": "1"})
    write(plain, "DELETE", address)
    assert plain.create("account", {"name": "b", "accountnumber": "1"})


def test_new_relationship(plain: Plain) -> None:
    """A new lookup can be bound, expanded from both sides, and goes with its relationship."""
    make_table(plain)
    payload = {
        "@odata.type": f"{_CRM}OneToManyRelationshipMetadata",
        "SchemaName": "new_account_car",
        "ReferencedEntity": "account",
        "ReferencingEntity": "new_car",
        "Lookup": {"SchemaName": "new_Owner"},
    }
    address = write(plain, "POST", "RelationshipDefinitions", **payload)
    assert address is not None
    account = plain.account()
    plain.create("new_car", {"new_name": "x", "new_Owner@odata.bind": f"/accounts({account})"})
    (row,) = plain.ask("new_car", select="new_name", expand="new_Owner($select=name)")["value"]
    assert row["new_Owner"]["name"] == "Acme"
    (parent,) = plain.ask("account", select="name", expand="new_account_car($select=new_name)")["value"]
    assert [one["new_name"] for one in parent["new_account_car"]] == ["x"]
    write(plain, "DELETE", address)
    with pytest.raises(DataverseError):
        plain.ask("new_car", expand="new_Owner")


def test_table_goes_with_all_that_leads_to_it(plain: Plain) -> None:
    """A deleted table leaves no lookup behind; a standard table stays."""
    make_table(plain)
    plain.create("new_car", {"new_name": "x"})
    write(plain, "DELETE", "EntityDefinitions(LogicalName='new_car')")
    assert "new_car" not in plain.org.schema.tables
    assert "objectid_new_car" not in plain.org.table("annotation").single
    ET.fromstring(csdl.document(plain.org))
    with pytest.raises(DataverseError):
        write(plain, "DELETE", "EntityDefinitions(LogicalName='account')")


def test_definitions_survive_a_restart(plain: Plain) -> None:
    """Custom tables, columns and rows are there in a new process, and those deleted are not."""
    make_table(plain)
    make_table(plain, "new_Boat")
    car = plain.create("new_car", {"new_name": "x"})
    write(plain, "DELETE", "EntityDefinitions(LogicalName='new_boat')")
    write(plain, "DELETE", "EntityDefinitions(LogicalName='new_shipment')")
    again = Org(plain.org.directory, now=lambda: NOON)
    assert (again.get("new_car", car) or {})["new_name"] == "x"
    assert not {"new_boat", "new_shipment"} & set(again.schema.tables)
    again.close()


def test_csdl_is_consistent(plain: Plain) -> None:
    """Every type, key, partner and binding that `$metadata` names is there; every set has a type."""
    root = ET.fromstring(csdl.document(plain.org))
    schema = root.find(f".//{_EDM}Schema")
    assert schema is not None
    types = {one.get("Name"): one for one in schema.findall(f"{_EDM}EntityType")}
    named = set(types) | {one.get("Name") for tag in ("ComplexType", "EnumType") for one in schema.findall(_EDM + tag)}
    for name, one in types.items():
        base = (one.get("BaseType") or "").removeprefix("mscrm.")
        assert not base or base in types
        properties = {item.get("Name") for item in one.findall(f"{_EDM}Property")}
        key = one.find(f"{_EDM}Key/{_EDM}PropertyRef")
        assert key is None or key.get("Name") in properties, name
        for item in one.findall(f"{_EDM}NavigationProperty"):
            target = (item.get("Type") or "").removeprefix("Collection(").removesuffix(")").removeprefix("mscrm.")
            assert target in types, (name, item.get("Name"))
    for item in schema.iter(f"{_EDM}Parameter"):
        kind = (item.get("Type") or "").removeprefix("Collection(").removesuffix(")")
        assert kind.startswith("Edm.") or kind.removeprefix("mscrm.") in named, kind
    sets = {one.get("Name"): one for one in schema.iter(f"{_EDM}EntitySet")}
    for one in sets.values():
        assert (one.get("EntityType") or "").removeprefix(_CRM) in types
        for bound in one:
            assert bound.get("Target") in sets
    assert {one["name"] for one in csdl.service_document(plain.org)["value"]} == set(sets)
    note = types["annotation"]
    assert note.find(f"{_EDM}Property[@Name='_objectid_value']") is not None
    assert note.find(f"{_EDM}NavigationProperty[@Name='objectid_account']") is not None
    assert types["email"].get("BaseType") == "mscrm.activitypointer"
