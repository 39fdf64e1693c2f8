"""The tables of a new environment: activities, notes, attachments and files. See `schema` for the notation."""

from __future__ import annotations

_PARENTS = [
    "account", "contact", "lead", "opportunity", "incident", "quote", "salesorder", "invoice", "contract",
    "new_shipment",
]  # fmt: skip
_NOTED = [*_PARENTS, "email", "phonecall", "task", "appointment", "adx_webfile"]
_FILED = ["account", "contact", "new_shipment", "msdyn_richtextfile", "activityfileattachment"]


def _lookup(targets: list[str], collection: str, deletion: str = "!cascade") -> str:
    return ", ".join(f"{target}({collection.format(target[:1].upper() + target[1:])}){deletion}" for target in targets)


#: of an activity: its own number of lines follows
_ACTIVITY = """
subject string(400)
description memo(1048576)
actualstart datetime
actualend datetime
scheduledstart datetime
scheduledend datetime
prioritycode picklist(0:Low/1:Normal/2:High) =1
activitytypecode entityname ro
isregularactivity boolean(0:No/1:Yes) ro =true
@owner
@audit
"""


def _activity(name: str, plural: str, collection: str, own: str) -> str:
    head = f"# {name} {plural} key=activityid name=subject activity notes"
    return f"{head}\nregardingobjectid lookup > {_lookup(_PARENTS, '{0}_' + collection)}{_ACTIVITY}{own.strip()}\n"


ACTIVITIES = (
    f"""# activitypointer activitypointers otc=4200 key=activityid name=subject read
regardingobjectid lookup > {_lookup(_PARENTS, "{0}_ActivityPointers", "")}{_ACTIVITY}
statecode state(0:Open/1:Completed/2:Canceled/3:Scheduled) =0
statuscode status(1:Open:0/2:Completed:1/3:Canceled:2/4:Scheduled:3) =1
"""
    + _activity(
        "email",
        "emails otc=4202",
        "Emails",
        """
sender string(250)
torecipients string(500)
messageid string(320) co
mimetype string(256)
directioncode boolean(0:Incoming/1:Outgoing) =true
senton datetime ro
attachmentcount integer ro =0
parentactivityid lookup > email(email_email_parentactivityid)
templateid lookup co > template(Email_EmailTemplate)
statecode state(0:Open/1:Completed/2:Canceled) =0
statuscode status(1:Draft:0/2:Completed:1/3:Sent:1/4:Received:1/5:Canceled:2/6:Pending Send:1/7:Sending:1/8:Failed:0) =1
""",
    )
    + _activity(
        "phonecall",
        "phonecalls otc=4210",
        "Phonecalls",
        """
phonenumber string(200)
directioncode boolean(0:Incoming/1:Outgoing) =true
statecode state(0:Open/1:Completed/2:Canceled) =0
statuscode status(1:Open:0/2:Made:1/3:Canceled:2/4:Received:1) =1
""",
    )
    + _activity(
        "task",
        "tasks otc=4212",
        "Tasks",
        """
category string(250)
percentcomplete integer
statecode state(0:Open/1:Completed/2:Canceled) =0
statuscode status(2:Not Started:0/3:In Progress:0/4:Waiting:0/5:Completed:1/6:Canceled:2/7:Deferred:0) =2
""",
    )
    + _activity(
        "appointment",
        "appointments otc=4201",
        "Appointments",
        """
location string(400)
isalldayevent boolean(0:No/1:Yes) =false
attachmentcount integer ro =0
statecode state(0:Open/1:Completed/2:Canceled/3:Scheduled) =0
statuscode status(1:Free:0/2:Tentative:0/3:Completed:1/4:Canceled:2/5:Busy:3/6:Out of Office:3) =1
""",
    )
    + _activity(
        "letter",
        "letters otc=4207",
        "Letters",
        """
address string(400)
statecode state(0:Open/1:Completed/2:Canceled) =0
statuscode status(1:Open:0/2:Draft:0/3:Received:1/4:Sent:1/5:Canceled:2) =1
""",
    )
    + _activity(
        "fax",
        "faxes otc=4204",
        "Faxes",
        """
faxnumber string(250)
statecode state(0:Open/1:Completed/2:Canceled) =0
statuscode status(1:Open:0/2:Completed:1/3:Sent:1/4:Received:1/5:Canceled:2) =1
""",
    )
    + f"""
# template templates otc=2010 name=title untracked
title string(200)
subject memo(1048576)
body memo(1048576)
description memo(100000)
templatetypecode entityname co
languagecode integer
ispersonal boolean(0:Organization/1:Individual) =false
@owner
@audit
# annotation annotations otc=5 name=subject single
subject string(500)
notetext memo(100000)
documentbody body(1073741823)
filename string(255)
mimetype string(256)
filesize integer ro
isdocument boolean(0:No/1:Yes) req =false
langid string(2)
stepid string(32)
prefix string(10) ro
objectid lookup > {_lookup(_NOTED, "{0}_Annotation")}
objecttypecode entityname
@owner
@audit
# activitymimeattachment activitymimeattachments otc=1001 name=filename unowned untracked single
body body(1073741823)
filename string(255)
mimetype string(256)
subject string(2000)
filesize integer ro
attachmentnumber integer
attachmentcontentid string(250)
isfollowed boolean(0:No/1:Yes) ro =false
activitysubject string(2000) ro
objectid lookup > email(email_activity_mime_attachment)!cascade, template(template_activity_mime_attachments)!cascade, \
appointment(appointment_activity_mime_attachment)!cascade, activitypointer(activity_pointer_activity_mime_attachment)
objecttypecode entityname
attachmentid lookup > attachment(attachment_activity_mime_attachments)!restrict
# attachment attachments otc=1002 name=filename unowned read single
body body(1073741823)
filename string(255)
mimetype string(256)
subject string(2000)
filesize integer ro
prefix string(10) ro
# fileattachment fileattachments otc=55 name=filename unowned read single untracked
filename string(255)
mimetype string(256)
filesizeinbytes bigint
regardingfieldname string(64)
objectid lookup > {_lookup(_FILED, "{0}_FileAttachments")}
objecttypecode entityname
createdon datetime ro
prefix string(10) ro
# msdyn_richtextfile msdyn_richtextfiles otc=10101 name=msdyn_name
msdyn_name string(200)
msdyn_fileblob file(32768)
msdyn_imageblob image(30720) full
msdyn_parententityname string(100)
msdyn_parentid string(100)
@state
@owner
@audit
# activityfileattachment activityfileattachments otc=10102 name=filename
filename string(255)
mimetype string(256)
filecontent file(131072)
objectid lookup > email(email_activityfileattachments)!cascade, task(task_activityfileattachments)!cascade
@state
@owner
@audit
# sharepointdocumentlocation sharepointdocumentlocations otc=9508 name=name
name string(160)
absoluteurl string(2000)
relativeurl string(255)
locationtype picklist(0:General/1:Dedicated for OneNote Integration) =0
servicetype picklist(0:SharePoint/1:OneDrive/2:Shared with me/3:MS Teams) =0
regardingobjectid lookup > {_lookup(_PARENTS, "{0}_SharepointDocumentLocation")}
@state
@owner
@audit
# adx_webfile adx_webfiles otc=10103 name=adx_name notes
adx_name string(100)
adx_partialurl string(100)
@state
@owner
@audit
"""
)
