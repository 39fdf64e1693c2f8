"""The org's objects and fields ("Object Reference for the Salesforce Platform"), as a table.

Flags: c createable, u updateable, r required on create, a only with audit-field rights, i usable as look-up key,
x external id, q unique, d deleted with its target, n the record's name.
"""

from __future__ import annotations

from offloader_connectors.salesforce.emulator.schema import parse_objects

PERMISSIONS = (
    "ApiEnabled",
    "BulkApiHardDelete",
    "CanUpdateEmailMessage",
    "CreateAuditFields",
    "ModifyAllData",
    "QueryAllFiles",
    "UpdateWithInactiveOwner",
    "ViewAllData",
    "ViewAllUsers",
    "ViewSetup",
)
_PERMISSION_FIELDS = "\n".join(f"Permissions{name} boolean +cu" for name in PERMISSIONS)

#: what files and attachments hang on, and where else files can be shared
_RECORDS = "Account,Contact,Case,Opportunity,Lead,EmailMessage,Campaign,Task,Shipment_Confirmation__c"
_PLACES = "User,Group,CollaborationGroup,ContentWorkspace,Organization"

EXTERNAL_ID = "Offload_Key__c"

OBJECTS = parse_objects(f"""
# Account 001 undelete
Name string(255) +curin
Type picklist(Prospect/Customer/Partner/Other) +cu
RecordTypeId reference +cu > RecordType
ParentId reference +cu > Account
BillingStreet textarea(255) +cu
BillingCity string(40) +cu
BillingState string(80) +cu
BillingPostalCode string(20) +cu
BillingCountry string(80) +cu
BillingCountryCode picklist(255) +cu
ShippingCity string(40) +cu
ShippingCountry string(80) +cu
ShippingCountryCode picklist(255) +cu
Phone phone(40) +cu
Website url(255) +cu
Industry picklist(255) +cu
AnnualRevenue currency +cu
NumberOfEmployees int +cu
AccountNumber string(40) +cu
Description textarea(32000) +cu
Offload_Category__c string(80) +cu
External_Key__c string(80) +cuixq
@owner
@system
# Contact 003 undelete
AccountId reference +cud > Account
LastName string(80) +cur
FirstName string(40) +cu
Salutation picklist(40) +cu
Name string(121) +n
Email email(80) +cui
Phone phone(40) +cu
Title string(128) +cu
Department string(80) +cu
RecordTypeId reference +cu > RecordType
MailingStreet textarea(255) +cu
MailingCity string(40) +cu
MailingState string(80) +cu
MailingPostalCode string(20) +cu
MailingCountry string(80) +cu
MailingCountryCode picklist(255) +cu
Birthdate date +cu
Description textarea(32000) +cu
External_Key__c string(80) +cuixq
@owner
@system
# Lead 00Q undelete
LastName string(80) +cur
FirstName string(40) +cu
Name string(121) +n
Company string(255) +cur
Email email(80) +cui
City string(40) +cu
Country string(80) +cu
CountryCode picklist(255) +cu
Status picklist(Open/Contacted/Qualified/Unqualified) +cu =Open
LeadSource picklist(255) +cu
RecordTypeId reference +cu > RecordType
Description textarea(32000) +cu
IsConverted boolean
@owner
@system
# Opportunity 006 undelete
AccountId reference +cud > Account
Name string(120) +curn
StageName picklist(Prospecting/Qualification/Proposal/Closed_Won/Closed_Lost) +cur
CloseDate date +cur
Amount currency +cu
Type picklist(255) +cu
RecordTypeId reference +cu > RecordType
IsClosed boolean
Description textarea(32000) +cu
@owner
@system
# Case 500 undelete
CaseNumber string(30) +in
AccountId reference +cu > Account
ContactId reference +cu > Contact
ParentId reference +cu > Case
Subject string(255) +cu
Description textarea(32000) +cu
Status picklist(New/Working/Escalated/Closed) +cu =New
Origin picklist(Phone/Email/Web) +cu
Priority picklist(High/Medium/Low) +cu =Medium
Type picklist(255) +cu
Reason picklist(255) +cu
RecordTypeId reference +cu > RecordType
IsClosed boolean
ClosedDate datetime
SuppliedEmail email(80) +cu
@owner
@system
# Task 00T undelete
Subject combobox(255) +cu
WhoId reference +cu > Contact,Lead as Who
WhatId reference +cu > Account,Opportunity,Case as What
Status picklist(Not_Started/Completed) +cu =Not_Started
Priority picklist(High/Normal/Low) +cu =Normal
ActivityDate date +cu
IsArchived boolean
Description textarea(32000) +cu
@owner
@system
# Campaign 701 undelete
Name string(80) +curn
Status picklist(Planned/In_Progress/Completed) +cu
IsActive boolean +cu
StartDate date +cu
EndDate date +cu
@owner
@system
# User 005 nodelete
Username string(80) +curiq
LastName string(80) +cur
FirstName string(40) +cu
Name string(121) +n
Email email(128) +curi
Alias string(8) +cu
IsActive boolean +cu =true
UserType picklist(Standard/PowerPartner/CspLitePortal/Guest) =Standard
ProfileId reference +cu > Profile
UserRoleId reference +cu > UserRole
ContactId reference +c > Contact
CountryCode picklist(255) +cu
Country string(80) +cu
TimeZoneSidKey picklist(40) +cu =UTC
LocaleSidKey picklist(40) +cu =en_US
LanguageLocaleKey picklist(40) +cu =en_US
EmailEncodingKey picklist(40) +cu =UTF-8
FederationIdentifier string(512) +cu
LastLoginDate datetime
@system
# UserRole 00E
Name string(80) +curn
DeveloperName string(80) +cu
ParentRoleId reference +cu > UserRole as ParentRole
@system
# Profile 00e
Name string(255) +curn
UserType picklist(Standard/Guest) =Standard
Description string(255) +cu
{_PERMISSION_FIELDS}
@system
# PermissionSet 0PS
Name string(80) +curn
Label string(80) +cur
IsOwnedByProfile boolean
IsCustom boolean
ProfileId reference > Profile
Description string(255) +cu
{_PERMISSION_FIELDS}
@system
# PermissionSetAssignment 0Pa
AssigneeId reference +cr > User as Assignee
PermissionSetId reference +cr > PermissionSet as PermissionSet
SystemModstamp datetime
IsDeleted boolean
# UserPermissionAccess - nocreate noupdate nodelete noreplicate
{_PERMISSION_FIELDS}
LastCacheUpdate datetime
# UserRecordAccess - nocreate noupdate nodelete noreplicate
RecordId reference > Account,Contact,Case,Opportunity,Lead as Record
UserId reference > User
HasReadAccess boolean
HasEditAccess boolean
HasDeleteAccess boolean
HasTransferAccess boolean
HasAllAccess boolean
MaxAccessLevel picklist(None/Read/Edit/Delete/Transfer/All)
# Group 00G
Name string(40) +curn
DeveloperName string(80) +cu
Type picklist(Regular/Role/Organization/Queue) +cr =Regular
@system
# GroupMember 011
GroupId reference +crd > Group
UserOrGroupId reference +crd > User,Group
SystemModstamp datetime
IsDeleted boolean
# CollaborationGroup 0F9
Name string(40) +curn
CollaborationType picklist(Public/Private/Unlisted) +cu =Public
Description textarea(1000) +cu
@owner
@system
# CollaborationGroupMember 0FB
CollaborationGroupId reference +crd > CollaborationGroup
MemberId reference +crd > User as Member
@system
# Organization 00D nocreate nodelete
Name string(80) +un
Country string(80) +u
CountryCode picklist(255) +u
PrimaryContact string(80) +u
OrganizationType picklist(255)
InstanceName string(5)
IsSandbox boolean
LanguageLocaleKey picklist(40) +u =en_US
DefaultLocaleSidKey picklist(40) +u =en_US
NamespacePrefix string(15)
TrialExpirationDate datetime
@system
# RecordType 012 nodelete
Name string(80) +curn
DeveloperName string(80) +cur
SobjectType picklist(255) +cr
IsActive boolean +cu =true
Description string(255) +cu
@system
# EmailMessage 02s undelete
ParentId reference +cd > Case as Parent
RelatedToId reference +c > Account,Opportunity,Case,Lead,Contact,Campaign as RelatedTo
Subject string(3000) +c
TextBody textarea(32000) +c
HtmlBody textarea(32000) +c
Headers textarea(32000) +c
FromAddress email(1000) +c
FromName string(1000) +c
ToAddress string(4000) +c
CcAddress string(4000) +c
BccAddress string(4000) +c
Incoming boolean +c
HasAttachment boolean
Status picklist(0/1/2/3/4/5) +cr =0
MessageDate datetime +c
MessageIdentifier string(765) +c
IsExternallyVisible boolean +cu
Offload_Note__c string(255) +cu
@system
# Attachment 00P undelete
ParentId reference +crd > {_RECORDS} as Parent
Name string(255) +curn
IsPrivate boolean +cu
ContentType string(120) +cu
BodyLength int
Body base64 +cur
Description string(500) +cu
@owner
@system
# Note 002 undelete
ParentId reference +crd > Account,Contact,Case,Opportunity,Lead as Parent
Title string(80) +curn
IsPrivate boolean +cu
Body textarea(32000) +cu
@owner
@system
# Document 015
FolderId reference +cur > Folder,User as Folder
Name string(255) +curn
DeveloperName string(80) +cu
ContentType string(120) +cu
Type string(40) +cu
IsPublic boolean +cu
BodyLength int
Body base64 +cu
Description string(255) +cu
Keywords string(255) +cu
AuthorId reference +cu > User
@system
# Folder 00l
Name string(40) +curn
DeveloperName string(80) +cu
Type picklist(Document/Email/Report/Dashboard) +cr =Document
AccessType picklist(Hidden/Public/Shared) +cu =Public
@system
# ContentVersion 068 nodelete noreplicate
Title string(255) +cuin
PathOnClient string(500) +c
VersionData base64 +cu
ContentUrl url(1333) +cu
ContentDocumentId reference +c > ContentDocument as ContentDocument
IsLatest boolean
VersionNumber string(20)
ContentBodyId reference +c > ContentBody
Description textarea(1000) +cu
ReasonForChange string(1000) +c
SharingOption picklist(A/R) +cu =A
SharingPrivacy picklist(N/P) +cu =N
ContentLocation picklist(S/E/L) +c =S
Origin picklist(C/H) +c =C
FileType string(20)
FileExtension string(40)
ContentSize int
ContentSizeLong long
Checksum string(50)
PublishStatus picklist(P/R/U) =R
IsMajorVersion boolean +c
IsAssetEnabled boolean +c
FirstPublishLocationId reference +c > {_RECORDS},{_PLACES} as FirstPublishLocation
ContentModifiedDate datetime +c
ContentModifiedById reference > User as ContentModifiedBy
VersionDataUrl string(255)
ExternalDocumentInfo1 string(1000) +cu
ExternalDocumentInfo2 string(1000) +cu
ExternalDataSourceId reference +cu > ExternalDataSource
NetworkId reference +c > Network
Language picklist(40) +cu
RecordTypeId reference +cu > RecordType
TagCsv textarea(2000) +cu
TextPreview string(255)
MalwareScanStatus picklist(NotScanned/Scheduled/Clean/Malicious/Skipped/Failed) =NotScanned
RatingCount int
PositiveRatingCount int
NegativeRatingCount int
{EXTERNAL_ID} string(255) +cuixq
OwnerId reference +cu > User as Owner
@system
# ContentDocument 069 nocreate undelete noreplicate
Title string(255) +un
Description textarea(1000) +u
PublishStatus picklist(P/R/U)
LatestPublishedVersionId reference > ContentVersion as LatestPublishedVersion
ParentId reference +u > ContentWorkspace as Parent
ContentSize int
FileType string(20)
FileExtension string(40)
SharingOption picklist(A/R) +u =A
SharingPrivacy picklist(N/P) +u =N
IsArchived boolean +u
ArchivedById reference > User as ArchivedBy
ArchivedDate date
ContentAssetId reference +u > ContentAsset as ContentAsset
ContentModifiedDate datetime
IsInternalOnly boolean
LastReferencedDate datetime
LastViewedDate datetime
OwnerId reference +u > User as Owner
@system
# ContentDocumentLink 06A noreplicate
LinkedEntityId reference +crd > {_RECORDS},{_PLACES} as LinkedEntity
ContentDocumentId reference +crd > ContentDocument as ContentDocument
IsDeleted boolean
SystemModstamp datetime
ShareType picklist(V/C/I) +cu =V
Visibility picklist(AllUsers/InternalUsers/SharedUsers) +cu
# ContentBody 05T nocreate nodelete noreplicate
# ContentNote - nocreate noupdate nodelete noreplicate
Title string(255)
Content base64
ContentSize int
FileType string(20)
FileExtension string(40)
TextPreview string(255)
LatestPublishedVersionId reference > ContentVersion as LatestPublishedVersion
OwnerId reference > User as Owner
@system
# ContentWorkspace 058 noreplicate
Name string(255) +curn
DeveloperName string(80) +cu
Description textarea(1000) +cu
@system
# ContentWorkspaceMember 05K noreplicate
ContentWorkspaceId reference +crd > ContentWorkspace
MemberId reference +crd > User,Group as Member
# ContentDistribution 05D
ContentVersionId reference +crd > ContentVersion as ContentVersion
ContentDocumentId reference > ContentDocument as ContentDocument
RelatedRecordId reference +cd > Account,Contact,Case,Opportunity,Lead as RelatedRecord
Name string(100) +curn
DistributionPublicUrl string(255)
ContentDownloadUrl string(255)
ExpiryDate datetime +cu
PreferencesExpires boolean +cu
PreferencesPasswordRequired boolean +cu
ViewCount int
@owner
@system
# ContentAsset 03S nocreate noreplicate
ContentDocumentId reference > ContentDocument as ContentDocument
DeveloperName string(80) +u
MasterLabel string(80) +u
IsVisibleByExternalUsers boolean +u
@system
# FeedItem 0D5
ParentId reference +crd > Account,Contact,Case,Opportunity,Lead,User,CollaborationGroup as Parent
Type picklist(TextPost/ContentPost/LinkPost) +c =TextPost
Body textarea(10000) +cu
Title string(255) +c
LinkUrl url(1000) +c
RelatedRecordId reference +c > ContentVersion as RelatedRecord
Visibility picklist(AllUsers/InternalUsers) +c =InternalUsers
@system
# FeedAttachment 08U
FeedEntityId reference +crd > FeedItem as FeedEntity
Type picklist(Content/Link/InlineImage) +c =Content
RecordId reference +c > ContentVersion as Record
Title string(255) +c
Value textarea(1000) +c
IsDeleted boolean
# ExternalDataSource 0XC
DeveloperName string(80) +cu
MasterLabel string(80) +cu
Type picklist(255) +cu
@system
# ApexTrigger 01q noreplicate
Name string(255) +curn
TableEnumOrId picklist(40) +cur
Status picklist(Active/Inactive/Deleted) +cu =Active
UsageBeforeDelete boolean +cu
UsageAfterDelete boolean +cu
@system
# FlowDefinitionView 300 nocreate noupdate nodelete noreplicate
ApiName string(255)
Label string(255) +n
IsActive boolean
ProcessType picklist(40)
TriggerType picklist(40)
TriggerObjectOrEventId string(255)
# EntityDefinition - nocreate noupdate nodelete noreplicate
DurableId string(255)
QualifiedApiName string(70)
# Network 0DB nodelete
Name string(80) +cun
Status picklist(255) +cu
@system
# Shipment_Confirmation__c a00 undelete
Name string(80) +cun
Account__c reference +cu > Account
Country__c string(80) +cu
Delivered_On__c date +cu
Weight__c double +cu
External_Key__c string(80) +cuixq
@owner
@system
""")
