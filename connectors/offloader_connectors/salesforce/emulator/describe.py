"""The JSON of describe calls ("sObject Describe", REST API guide)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from offloader_connectors.salesforce.emulator.resolve import child_relations
from offloader_connectors.salesforce.emulator.schema import Field, SObject

if TYPE_CHECKING:
    from offloader_connectors.salesforce.emulator.org import Org

_SOAP = {
    **dict.fromkeys(("id", "reference"), "tns:ID"),
    **dict.fromkeys(("double", "currency", "percent"), "xsd:double"),
    **{name: f"xsd:{name}" for name in ("boolean", "int", "long", "date")},
    "datetime": "xsd:dateTime",
    "base64": "xsd:base64Binary",
}
_LAYOUTLESS = {
    "ContentVersion",
    "ContentDocumentLink",
    "Attachment",
    "FeedItem",
    "FeedAttachment",
    "ContentDistribution",
}


def summary(sobject: SObject, base: str) -> dict[str, Any]:
    """One entry of the global describe."""
    name = sobject.name
    url = f"{base}/sobjects/{name}"
    label = name.removesuffix("__c").replace("_", " ")
    return {
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "createable": sobject.createable,
        "custom": sobject.custom,
        "customSetting": False,
        "deepCloneable": False,
        "deletable": sobject.deletable,
        "deprecatedAndHidden": False,
        "feedEnabled": name in {"Account", "Contact", "Case", "Opportunity", "Lead"},
        "hasSubtypes": False,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": sobject.prefix,
        "label": label,
        "labelPlural": f"{label}s",
        "layoutable": name not in _LAYOUTLESS,
        "mergeable": name in {"Account", "Contact", "Case", "Lead"},
        "mruEnabled": name in {"Account", "Contact", "Case", "Opportunity", "Lead"},
        "name": name,
        "queryable": sobject.queryable,
        "replicateable": sobject.replicateable,
        "retrieveable": True,
        "searchable": name not in _LAYOUTLESS,
        "triggerable": True,
        "undeletable": sobject.undeletable,
        "updateable": sobject.updateable,
        "urls": {"rowTemplate": f"{url}/{{ID}}", "describe": f"{url}/describe", "sobject": url},
    }


@lru_cache(maxsize=2048)
def _field(field: Field) -> dict[str, Any]:
    text = field.type in {"string", "textarea", "email", "phone", "url", "picklist", "combobox"}
    length = field.length or (255 if text else 0)
    number = field.type in {"double", "currency", "percent"}
    picks = [
        {"active": True, "defaultValue": value == field.default, "label": value, "validFor": None, "value": value}
        for value in field.values
    ]
    return {
        "aggregatable": field.type not in {"base64", "boolean"},
        "aiPredictionField": False,
        "autoNumber": field.name == "CaseNumber",
        "byteLength": length * 3 if text else (18 if field.type in {"id", "reference"} else 0),
        "calculated": False,
        "calculatedFormula": None,
        "cascadeDelete": field.cascade,
        "caseSensitive": False,
        "compoundFieldName": None,
        "controllerName": None,
        "createable": field.createable,
        "custom": field.custom,
        "defaultValue": field.default,
        "defaultValueFormula": None,
        "defaultedOnCreate": field.default is not None or field.audit or field.name in {"Id", "OwnerId"},
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "digits": 9 if field.type == "int" else 0,
        "displayLocationInDecimal": False,
        "encrypted": False,
        "externalId": field.external_id,
        "extraTypeInfo": None,
        "filterable": field.filterable and not (field.type == "textarea" and field.length > 255),
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "groupable": field.type not in {"base64", "textarea", "datetime", "double", "currency", "long"},
        "highScaleNumber": False,
        "htmlFormatted": False,
        "idLookup": field.id_lookup,
        "inlineHelpText": None,
        "label": field.label,
        "length": length,
        "mask": None,
        "maskType": None,
        "name": field.name,
        "nameField": field.name_field,
        "namePointing": len(field.targets) > 1,
        "nillable": field.nillable,
        "permissionable": field.custom or (field.nillable and not field.audit and field.type != "id"),
        "picklistValues": picks,
        "polymorphicForeignKey": len(field.targets) > 1,
        "precision": 18 if number else 0,
        "queryByDistance": False,
        "referenceTargetField": None,
        "referenceTo": list(field.targets),
        "relationshipName": field.relation,
        "relationshipOrder": None,
        "restrictedDelete": False,
        "restrictedPicklist": bool(field.values),
        "scale": 2 if number else 0,
        "searchPrefilterable": field.type == "reference",
        "soapType": _SOAP.get(field.type, "xsd:string"),
        "sortable": field.type not in {"base64", "textarea"},
        "type": field.type,
        "unique": field.unique,
        "updateable": field.updateable,
        "writeRequiresMasterRead": False,
    }


def describe_object(org: Org, sobject: SObject, base: str) -> dict[str, Any]:
    """The whole describe of an object."""
    children = [
        {
            "cascadeDelete": org.objects[kind].fields[field].cascade,
            "childSObject": kind,
            "deprecatedAndHidden": False,
            "field": field,
            "junctionIdListNames": [],
            "junctionReferenceTo": [],
            "relationshipName": name,
            "restrictedDelete": f"{kind}.{field}" in org.options.restricted_lookups,
        }
        for name, kind, field in child_relations(sobject.name).values()
        if field in org.objects[kind].fields
    ]
    types = [row for row in org.rows("RecordType") if row.get("SobjectType") == sobject.name]
    url = f"{base}/sobjects/{sobject.name}"
    described = summary(sobject, base)
    urls = {
        **described.pop("urls"),
        "uiEditTemplate": "/{ID}/e",
        "uiDetailTemplate": "/{ID}",
        "uiNewRecord": f"/{sobject.prefix}/e",
        "layouts": f"{url}/describe/layouts",
        "compactLayouts": f"{url}/describe/compactLayouts",
    }
    return {
        "actionOverrides": [],
        **described,
        "childRelationships": children,
        "compactLayoutable": sobject.name not in _LAYOUTLESS,
        "defaultImplementation": None,
        "extendedBy": None,
        "extendsInterfaces": None,
        "fields": [_field(field) for field in sobject.fields.values()],
        "implementedBy": None,
        "implementsInterfaces": None,
        "listviewable": None,
        "lookupLayoutable": None,
        "namedLayoutInfos": [],
        "networkScopeFieldName": "NetworkId" if "NetworkId" in sobject.fields else None,
        "recordTypeInfos": [_record_type(row, url) for row in types] + [_master(url)],
        "searchLayoutable": sobject.name not in _LAYOUTLESS,
        "sobjectDescribeOption": "FULL",
        "supportedScopes": [{"label": f"All {sobject.plural}", "name": "everything"}],
        "urls": urls,
    }


def _record_type(row: Any, url: str) -> dict[str, Any]:
    return {
        "active": row.get("IsActive", True),
        "available": True,
        "defaultRecordTypeMapping": False,
        "developerName": row["DeveloperName"],
        "master": False,
        "name": row["Name"],
        "recordTypeId": row["Id"],
        "urls": {"layout": f"{url}/describe/layouts/{row['Id']}"},
    }


def _master(url: str) -> dict[str, Any]:
    key = "012000000000000AAA"
    return {
        "active": True,
        "available": True,
        "defaultRecordTypeMapping": True,
        "developerName": "Master",
        "master": True,
        "name": "Master",
        "recordTypeId": key,
        "urls": {"layout": f"{url}/describe/layouts/{key}"},
    }
