"""The tables of a new environment ("Dataverse table/entity reference"): records. See `schema` for the notation."""

from __future__ import annotations

from offloader_connectors.dynamics365.emulator.schema import Table, read_tables
from offloader_connectors.dynamics365.emulator.tables_activities import ACTIVITIES
from offloader_connectors.dynamics365.emulator.tables_system import SYSTEM

COMMON = {
    "audit": """
createdon datetime ro
modifiedon datetime ro
createdby lookup ro > systemuser
modifiedby lookup ro > systemuser
overriddencreatedon datetime co
importsequencenumber integer co
""",
    "owner": """
ownerid owner > systemuser(,ownerid), team(,ownerid)
owninguser lookup ro > systemuser
owningteam lookup ro > team
owningbusinessunit lookup > businessunit
""",
    "state": """
statecode state(0:Active/1:Inactive) =0
statuscode status(1:Active:0/2:Inactive:1) =1
""",
    "address": """
address1_line1 string(250)
address1_city string(80)
address1_stateorprovince string(50)
address1_postalcode string(20)
address1_country string(80)
address2_country string(80)
""",
}

RECORDS = """
# account accounts otc=1 name=name notes
name string(160)
accountnumber string(20)
accountcategorycode picklist(1:Preferred Customer/2:Standard)
industrycode picklist(1:Accounting/2:Agriculture/8:Consulting/16:Financial/24:Legal/30:Public Administration)
emailaddress1 string(100) format=Email
telephone1 string(50) format=Phone
websiteurl string(200) format=Url
description memo(2000)
revenue money
numberofemployees integer
creditonhold boolean(0:No/1:Yes) =false
donotbulkemail boolean(0:Allow/1:Do Not Allow) =false
parentaccountid lookup > account(account_parent_account)
primarycontactid lookup > contact(account_primary_contact)
transactioncurrencyid lookup > transactioncurrency
new_dossier file(131072)
entityimage image(10240)
@address
@state
@owner
@audit
# contact contacts otc=2 name=fullname notes
fullname string(160) ro
firstname string(50)
lastname string(50)
jobtitle string(100)
emailaddress1 string(100) format=Email
telephone1 string(50) format=Phone
mobilephone string(50) format=Phone
description memo(2000)
birthdate date
gendercode picklist(1:Male/2:Female)
parentcustomerid customer > account(contact_customer_accounts), contact(contact_customer_contacts)
entityimage image(30720) full
@address
@state
@owner
@audit
# lead leads otc=4 name=fullname notes
fullname string(160) ro
firstname string(50)
lastname string(50)
subject string(300)
companyname string(100)
emailaddress1 string(100) format=Email
description memo(2000)
leadsourcecode picklist(1:Advertisement/8:Web/10:Other)
parentaccountid lookup > account(lead_parent_account)
parentcontactid lookup > contact(lead_parent_contact)
address1_city string(80)
address1_postalcode string(20)
address1_country string(80)
statecode state(0:Open/1:Qualified/2:Disqualified) =0
statuscode status(1:New:0/2:Contacted:0/3:Qualified:1/4:Lost:2) =1
@owner
@audit
# opportunity opportunities otc=3 name=name notes
name string(300)
description memo(2000)
estimatedvalue money
actualvalue money
estimatedclosedate date
closeprobability integer
customerid customer > account(opportunity_customer_accounts), contact(opportunity_customer_contacts)
parentaccountid lookup > account(opportunity_parent_account)
parentcontactid lookup > contact(opportunity_parent_contact)
statecode state(0:Open/1:Won/2:Lost) =0
statuscode status(1:In Progress:0/2:On Hold:0/3:Won:1/4:Canceled:2/5:Out-Sold:2) =1
@owner
@audit
# incident incidents otc=112 name=title notes
title string(200)
ticketnumber string(100) co
description memo(2000)
caseorigincode picklist(1:Phone/2:Email/3:Web)
casetypecode picklist(1:Question/2:Problem/3:Request)
prioritycode picklist(1:High/2:Normal/3:Low) =2
customerid customer req > account(incident_customer_accounts)!cascade, contact(incident_customer_contacts)!cascade
primarycontactid lookup > contact(contact_as_primary_contact)
parentcaseid lookup > incident(incident_parent_incident)
statecode state(0:Active/1:Resolved/2:Cancelled) =0
statuscode status(1:In Progress:0/2:On Hold:0/3:Waiting for Details:0/5:Problem Solved:1/6:Cancelled:2) =1
@owner
@audit
# quote quotes otc=1084 name=name notes
name string(300)
quotenumber string(100) co
totalamount money
description memo(2000)
customerid customer > account(quote_customer_accounts), contact(quote_customer_contacts)
opportunityid lookup > opportunity(opportunity_quotes)
billto_country string(80)
shipto_country string(80)
statecode state(0:Draft/1:Active/2:Won/3:Closed) =0
statuscode status(1:In Progress:0/2:In Progress:1/4:Won:2/5:Lost:3/6:Canceled:3) =1
@owner
@audit
# salesorder salesorders otc=1088 name=name notes
name string(300)
ordernumber string(100) co
totalamount money
description memo(2000)
customerid customer > account(order_customer_accounts), contact(order_customer_contacts)
opportunityid lookup > opportunity(opportunity_sales_orders)
quoteid lookup > quote(quote_orders)
billto_country string(80)
shipto_country string(80)
statecode state(0:Active/1:Submitted/2:Canceled/3:Fulfilled/4:Invoiced) =0
statuscode status(1:New:0/2:Pending:0/3:In Progress:1/4:No Money:2/100001:Complete:3/100003:Invoiced:4) =1
@owner
@audit
# invoice invoices otc=1090 name=name notes
name string(300)
invoicenumber string(100) co
totalamount money
description memo(2000)
customerid customer > account(invoice_customer_accounts), contact(invoice_customer_contacts)
salesorderid lookup > salesorder(order_invoices)
billto_country string(80)
shipto_country string(80)
statecode state(0:Active/1:Closed/2:Paid/3:Canceled) =0
statuscode status(1:New:0/2:Partially Shipped:0/4:Billed:0/100001:Complete:2/100003:Canceled:3) =1
@owner
@audit
# contract contracts otc=1010 name=title notes
title string(100)
contractnumber string(100) co
contractlanguage memo(2000)
activeon date
expireson date
totalprice money
customerid customer > account(contract_customer_accounts), contact(contract_customer_contacts)
billingcustomerid customer > account(contract_billingcustomer_accounts), contact(contract_billingcustomer_contacts)
statecode state(0:Draft/1:Invoiced/2:Active/3:On Hold/4:Canceled/5:Expired) =0
statuscode status(1:Draft:0/2:Invoiced:1/3:Active:2/4:On Hold:3/5:Canceled:4/6:Expired:5) =1
@owner
@audit
# new_shipment new_shipments otc=10001 name=new_name notes alternate=new_numberkey alternate_columns=new_number
new_name string(100)
new_number string(100)
new_country string(80)
new_weight decimal
new_due datetime
new_urgent boolean(0:No/1:Yes) =false
new_mode picklist(100000000:Road/100000001:Sea/100000002:Air)
new_account lookup > account(new_account_shipments)
new_contractlink string(400) format=Url
new_contract file(131072)
new_photo image(30720) full
@state
@owner
@audit
"""


def new_tables() -> list[Table]:
    """The tables of a new environment, each call its own."""
    return list(read_tables(RECORDS + ACTIVITIES + SYSTEM, COMMON).values())
