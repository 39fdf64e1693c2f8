"""Loads the made-up world into an emulated environment, and writes down what is expected of every document."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from offloader_connectors.dynamics365.emulator.org import Org
from offloader_connectors.emulation.corpus import MIME, Corpus, dice_of
from offloader_connectors.emulation.expectations import fill
from offloader_connectors.emulation.making import make_world
from offloader_connectors.emulation.mixes import NOTES_AND_MAILS
from offloader_connectors.emulation.texts import paragraph
from offloader_connectors.emulation.world import Account, Document, Email, Hang, Role, Sort, Special, Stage, World

_NAME_LENGTH = 255
#: A mail of the last days was changed so long before the world was loaded; any other one longer ago than that,
#: whatever the clock says.
_RECENT, _LONG_AGO = timedelta(days=1), timedelta(days=14)
#: statecode and statuscode ("email table/entity reference"): sent and received, by turns; draft; pending send
_SENT, _RECEIVED, _DRAFT, _PENDING = (1, 3), (1, 4), (0, 1), (1, 6)
#: by hang and by the table of the record: the column that holds the file
_COLUMNS = {
    (Hang.FILE_FIELD, "account"): "new_dossier",
    (Hang.FILE_FIELD, "new_shipment"): "new_contract",
    (Hang.PICTURE_FIELD, "contact"): "entityimage",
    (Hang.PICTURE_FIELD, "new_shipment"): "new_photo",
}
_SALES_ROLES = ("Salesperson",)


def seed(org: Org, *, documents: int, seed: int) -> None:
    """Fill a new environment with the world of that many documents; the same seed gives the same world.

    The integration user may do everything, the outsider has no role at all.
    """
    world = make_world(documents, seed, NOTES_AND_MAILS)
    loader = _Loader(org, world)
    with org.store.transaction():
        loader.load_records()
    fill(org.directory, world, org.store.transaction, loader.load)


class _Loader:
    """Knows the table and the id of everything in the world by its key."""

    def __init__(self, org: Org, world: World) -> None:
        self.org = org
        self.world = world
        self.corpus = Corpus(world.seed)
        self.ids: dict[str, tuple[str, str]] = {}
        self.accounts = {account.key: account for account in world.accounts}

    # -- records -----------------------------------------------------------------------------------

    def load_records(self) -> None:
        """Users, accounts, and all that hangs on them; an account's owner owns all that is its."""
        self._load_users()
        self._load_accounts()
        self._load_people()
        self._load_cases()
        self._load_opportunities()
        self._load_shipments()
        for email in self.world.emails:
            self._load_email(email)
        self._load_furnishings()
        self._load_remarks()

    def _load_users(self) -> None:
        for user in self.world.users:
            if user.role is Role.ADMIN:
                self.ids[user.key] = "systemuser", self.org.integration_user
                continue
            record = self.org.user(
                username=user.username,
                full_name=f"{user.first_name} {user.last_name}",
                oid=str(uuid5(NAMESPACE_DNS, user.username)),
                roles=_SALES_ROLES if user.role is Role.SALES else (),
                active=user.active,
            )
            self.ids[user.key] = "systemuser", record

    def _insert(self, key: str, table: str, account: Account, fields: Mapping[str, Any], at: datetime) -> None:
        audit = {"createdon": at, "modifiedon": at, "ownerid": self.ids[account.owner]}
        self.ids[key] = table, self.org.insert(table, {**fields, **audit})

    def _load_accounts(self) -> None:
        for account in self.world.accounts:
            fields = {
                "name": account.name,
                "address1_city": account.town,
                "address1_country": account.country_text,
            }
            self._insert(account.key, "account", account, fields, account.created)

    def _load_people(self) -> None:
        """Every fourth contact has no address of its own."""
        for number, person in enumerate(self.world.people):
            account = self.accounts[person.account]
            address = {"address1_city": account.town, "address1_country": account.country_text} if number % 4 else {}
            fields = {
                "firstname": person.first_name,
                "lastname": person.last_name,
                "emailaddress1": person.email,
                "parentcustomerid": self.ids[person.account],
            }
            self._insert(person.key, "contact", account, fields | address, account.created)

    def _load_cases(self) -> None:
        """The customer of every third case is a contact, of all others an account."""
        for number, case in enumerate(self.world.cases):
            account = self.accounts[case.account]
            fields = {
                "title": case.subject[:200],
                "customerid": self.ids[case.account if number % 3 else case.person],
                "primarycontactid": self.ids[case.person],
                "caseorigincode": 2,
            }
            self._insert(case.key, "incident", account, fields, account.created)

    def _load_opportunities(self) -> None:
        for chance in self.world.opportunities:
            account = self.accounts[chance.account]
            customer = self.ids[chance.account]
            fields = {"name": chance.name[:300], "customerid": customer, "parentaccountid": customer}
            self._insert(chance.key, "opportunity", account, fields, account.created)

    def _load_shipments(self) -> None:
        for shipment in self.world.shipments:
            account = self.accounts[shipment.account]
            fields = {
                "new_name": f"{account.name[:80]} {shipment.number}",
                "new_number": shipment.number,
                "new_country": account.country_text,
                "new_account": self.ids[shipment.account],
            }
            self._insert(shipment.key, "new_shipment", account, fields, account.created)

    def _load_email(self, email: Email) -> None:
        pictures = "".join(f'<p><img src="cid:{picture}"></p>' for picture in email.pictures)
        received = email.stage is Stage.SENT and len(self.ids) % 2 == 0
        ours, theirs = email.sender, email.recipient
        finished = _RECEIVED if received else _SENT
        state, status = {Stage.DRAFT: _DRAFT, Stage.OUTGOING: _PENDING}.get(email.stage, finished)
        now = self.org.now()
        at = now - _RECENT if email.stage is Stage.RECENT else min(email.sent, now - _LONG_AGO)
        fields = {
            "regardingobjectid": self.ids[email.case],
            "subject": email.subject[:400],
            "description": f"<html><body><p>{html.escape(email.text)}</p>{pictures}</body></html>",
            "sender": theirs if received else ours,
            "torecipients": ours if received else theirs,
            "directioncode": not received,
            "senton": at if status in (_SENT[1], _RECEIVED[1]) else None,
            "statecode": state,
            "statuscode": status,
        }
        self._insert(email.key, "email", self.accounts[email.account], fields, at)

    def _load_furnishings(self) -> None:
        for item in self.world.furnishings:
            if item.sort is Sort.TEMPLATE:
                fields = {"title": item.name, "subject": item.name, "templatetypecode": "incident"}
                self.ids[item.key] = "template", self.org.insert("template", fields)
            else:
                fields = {"adx_name": item.name, "adx_partialurl": item.name}
                self.ids[item.key] = "adx_webfile", self.org.insert("adx_webfile", fields)

    def _load_remarks(self) -> None:
        for remark in self.world.remarks:
            table, record = self.ids[remark.parent]
            owner = (self.org.get(table, record) or {})["ownerid"]
            fields = {"objectid": (table, record), "notetext": remark.text, "ownerid": owner}
            self.org.insert("annotation", fields)

    # -- documents ---------------------------------------------------------------------------------

    def load(self, document: Document) -> tuple[str, str]:
        """Put one document into the environment; returns its kind and id."""
        if document.hang is Hang.EMAIL_ATTACHMENT:
            return "activitymimeattachment", self._attachment(document)
        if document.hang is Hang.RECORD_ATTACHMENT:
            return "annotation", self._note(document)
        table, record = self.ids[document.parents[0]]
        column = _COLUMNS[document.hang, table]
        name, mime = document.name[:_NAME_LENGTH], MIME[document.kind]
        self.org.set_file(table, record, column, file_name=name, body=self._body(document), mime_type=mime)
        kind = "filecolumn" if document.hang is Hang.FILE_FIELD else "imagecolumn"
        return kind, f"{table}:{record}:{column}"

    def _body(self, document: Document) -> bytes:
        if document.special is Special.POINTER:
            told = {"name": document.name, "type": MIME[document.kind], "size": 48_213}
            return json.dumps({**told, "url": f"https://files.example.net/{document.key}"}).encode()
        return self.corpus.make(document.bodies[0], document.kind, document.language).data

    def _note(self, document: Document) -> str:
        """Most notes have a text beside their file."""
        dice = dice_of(self.world.seed, "note", document.key)
        return self.org.add_note(
            parent=self.ids[document.parents[0]] if document.parents else None,
            file_name=document.name[:_NAME_LENGTH],
            body=self._body(document),
            mime_type=MIME[document.kind],
            subject=paragraph(dice, document.language, 1)[:500],
            text=paragraph(dice, document.language, 2) if dice.random() < 0.7 else None,
            owner=self.ids[document.owner][1],
            created=document.created[0],
        )

    def _attachment(self, document: Document) -> str:
        """One row a mail; they share the bytes."""
        first, *others = document.parents
        name, content_id = document.name[:_NAME_LENGTH], document.content_id
        made = self.org.add_mail_attachment(
            mail=self.ids[first],
            file_name=name,
            body=self._body(document),
            mime_type=MIME[document.kind],
            content_id=content_id,
        )
        for other in others:
            shared = made.attachment_id
            self.org.add_mail_attachment(
                mail=self.ids[other], file_name=name, body=None, attachment=shared, content_id=content_id
            )
        return made.attachment_id
