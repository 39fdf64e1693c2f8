"""The tables of a new environment: people, settings, jobs. See `schema` for the notation."""

from __future__ import annotations

SYSTEM = """
# systemuser systemusers otc=8 name=fullname untracked
fullname string(200) ro
firstname string(64)
lastname string(64)
domainname string(1024)
internalemailaddress string(100) format=Email
azureactivedirectoryobjectid uniqueidentifier
applicationid uniqueidentifier
isdisabled boolean(0:Enabled/1:Disabled) ro =false
accessmode picklist(0:Read-Write/1:Administrative/2:Read/3:Support User/4:Non-interactive) =0
title string(128)
address1_country string(80)
businessunitid lookup > businessunit(business_unit_system_users)!restrict
createdon datetime ro
modifiedon datetime ro
# team teams otc=9 name=name untracked
name string(160)
description memo(2000)
teamtype picklist(0:Owner/1:Access/2:Security Group/3:Office Group) =0
isdefault boolean(0:No/1:Yes) ro =false
administratorid lookup > systemuser(lk_teambase_administratorid)
businessunitid lookup > businessunit(business_unit_teams)!restrict
createdon datetime ro
modifiedon datetime ro
# businessunit businessunits otc=10 name=name untracked
name string(160)
divisionname string(100)
isdisabled boolean(0:No/1:Yes) ro =false
address1_country string(80)
parentbusinessunitid lookup > businessunit(business_unit_parent_business_unit)!restrict
createdon datetime ro
modifiedon datetime ro
# organization organizations otc=1019 name=name untracked
name string(160)
blockedattachments memo(1073741823)
maxuploadfilesize integer
expirechangetrackingindays integer
languagecode integer =1033
basecurrencyid lookup > transactioncurrency
isauditenabled boolean(0:No/1:Yes) =false
createdon datetime ro
modifiedon datetime ro
# transactioncurrency transactioncurrencies otc=9105 name=currencyname untracked
currencyname string(100)
isocurrencycode string(5)
currencysymbol string(13)
exchangerate decimal
# role roles otc=1036 name=name untracked
name string(100)
businessunitid lookup > businessunit(business_unit_roles)
createdon datetime ro
modifiedon datetime ro
# privilege privileges otc=1023 name=name untracked read
name string(100)
accessright integer
canbebasic boolean =true
canbelocal boolean =true
canbedeep boolean =true
canbeglobal boolean =true
# solution solutions otc=7100 name=friendlyname untracked
uniquename string(65)
friendlyname string(256)
version string(256)
ismanaged boolean(0:Unmanaged/1:Managed) ro =false
# publisher publishers otc=7101 name=friendlyname untracked
uniquename string(256)
friendlyname string(256)
customizationprefix string(8)
# asyncoperation asyncoperations otc=4700 name=name untracked
name string(100)
message string(1000000) ro
friendlymessage string(1000000) ro
operationtype picklist(1:System Event/13:Bulk Delete/93:Restore) co
startedon datetime ro
completedon datetime ro
errorcode integer ro
statecode state(0:Ready/1:Suspended/2:Locked/3:Completed) =0
statuscode status(0:Waiting For Resources:0/20:In Progress:2/30:Succeeded:3/31:Failed:3/32:Canceled:3) =0
@owner
@audit
# bulkdeleteoperation bulkdeleteoperations otc=4424 name=name untracked
name string(200) ro
asyncoperationid lookup ro > asyncoperation(AsyncOperation_BulkDeleteOperation)
successcount integer ro =0
failurecount integer ro =0
isrecurring boolean(0:No/1:Yes) ro =false
orderedquerysetxml memo(1073741823) ro
nextrun datetime ro
statecode state(0:Ready/1:Suspended/2:Locked/3:Completed) =0
statuscode status(0:Waiting For Resources:0/20:In Progress:2/30:Succeeded:3/31:Failed:3/32:Canceled:3) =0
@owner
createdon datetime ro
modifiedon datetime ro
# bulkdeletefailure bulkdeletefailures otc=4425 untracked read
bulkdeleteoperationid lookup > bulkdeleteoperation(BulkDeleteOperation_BulkDeleteFailure)!cascade
asyncoperationid lookup > asyncoperation(AsyncOperation_BulkDeleteFailure)
errornumber integer
errordescription string(512)
orderedquerysetindex integer
regardingobjectid uniqueidentifier
regardingobjecttypecode entityname
# recyclebinconfig recyclebinconfigs otc=10201 name=name untracked
name string(100)
cleanupintervalindays integer
isreadyforrecyclebin boolean(0:No/1:Yes) ro =true
extensionofrecordid uniqueidentifier
@state
@owner
@audit
# attributeimageconfig attributeimageconfigs otc=431 name=attributelogicalname untracked
attributelogicalname string(100) co
parententitylogicalname string(100) co
canstorefullimage boolean(0:No/1:Yes) co =false
createdon datetime ro
# sdkmessage sdkmessages otc=4606 name=name untracked read
name string(256)
isprivate boolean =false
# sdkmessagefilter sdkmessagefilters otc=4607 name=name untracked read
name string(256)
primaryobjecttypecode entityname
iscustomprocessingstepallowed boolean =true
sdkmessageid lookup > sdkmessage(sdkmessageid_sdkmessagefilter)
# retentionconfig retentionconfigs otc=10202 name=name untracked
name string(100)
entitylogicalname string(100)
criteria memo(1000000)
startdatetime datetime
recurrence string(100)
@state
@owner
@audit
# principalobjectaccess principalobjectaccessset otc=11 untracked read
objectid uniqueidentifier
objecttypecode entityname
principalid uniqueidentifier
principaltypecode entityname
accessrightsmask integer
changedon datetime ro
# sdkmessageprocessingstep sdkmessageprocessingsteps otc=4608 name=name untracked
name string(256)
stage picklist(10:Pre-validation/20:Pre-operation/30:Main Operation/40:Post-operation) =40
mode picklist(0:Synchronous/1:Asynchronous) =0
ishidden boolean =false
sdkmessageid lookup > sdkmessage(sdkmessageid_sdkmessageprocessingstep)
sdkmessagefilterid lookup > sdkmessagefilter(sdkmessagefilterid_sdkmessageprocessingstep)
statecode state(0:Enabled/1:Disabled) =0
statuscode status(1:Enabled:0/2:Disabled:1) =1
# workflow workflows otc=4703 name=name untracked
name string(100)
type picklist(1:Definition/2:Activation/3:Template) =1
category picklist(0:Workflow/2:Business Rule/3:Action/5:Modern Flow) =0
primaryentity entityname
triggerondelete boolean(0:No/1:Yes) =false
statecode state(0:Draft/1:Activated/2:Suspended) =0
statuscode status(1:Draft:0/2:Activated:1/3:CompanyDLPViolation:2) =1
@owner
@audit
# callbackregistration callbackregistrations otc=301 name=name untracked
name string(100)
entityname string(255)
message picklist(1:Added/2:Deleted/3:Modified/4:Added or Modified/5:Added or Deleted/6:Modified or Deleted/7:All)
scope picklist(1:User/2:BusinessUnit/3:ParentChildBusinessUnit/4:Organization)
@owner
createdon datetime ro
modifiedon datetime ro
# audit audits otc=4567 untracked read single unowned
action picklist(1:Create/2:Update/3:Delete)
operation picklist(1:Create/2:Update/3:Delete/4:Access)
objectid lookup > account(,objectid_account), contact(,objectid_contact), incident(,objectid_incident), \
email(,objectid_email), new_shipment(,objectid_new_shipment)
objecttypecode entityname
userid lookup > systemuser
createdon datetime ro
"""
