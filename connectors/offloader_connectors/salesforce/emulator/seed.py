"""Loads the made-up world into an emulated org, and writes down what is expected of every document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from offloader_connectors.emulation.corpus import AWKWARD_NAMES, MIME, Corpus
from offloader_connectors.emulation.expectations import fill
from offloader_connectors.emulation.making import make_world
from offloader_connectors.emulation.world import Document, Hang, Role, Special, World
from offloader_connectors.salesforce.emulator.objects import PERMISSIONS
from offloader_connectors.salesforce.emulator.org import INTEGRATION_USER, FileParent, Org

_TITLE_LENGTH = 255
_SENT = "3"


def seed(org: Org, *, documents: int, seed: int) -> None:
    """Fill a new org with the world of that many documents; the same seed gives the same world.

    Contacts are private, as everything else of an account, so that the user without access sees nothing. The
    integration user lacks Update Email Messages alone, so that files on sent e-mails stay.
    """
    org.user(username=INTEGRATION_USER, permissions=[each for each in PERMISSIONS if each != "CanUpdateEmailMessage"])
    org.options = replace(org.options, sharing={**org.options.sharing, "Contact": "Private"})
    world = make_world(documents, seed)
    loader = _Loader(org, world)
    with org.store.transaction():
        loader.load_records()
    fill(org.directory, world, org.store.transaction, loader.load)


class _Loader:
    """Knows the org's id of everything in the world by its key."""

    def __init__(self, org: Org, world: World) -> None:
        self.org = org
        self.world = world
        self.corpus = Corpus(world.seed)
        self.ids: dict[str, str] = {}

    def load_records(self) -> None:
        """Users, accounts, contacts, cases, opportunities and e-mails; an account's owner owns all that is its."""
        for user in self.world.users:
            self.ids[user.key] = (
                self.org.integration_user
                if user.role is Role.ADMIN
                else self.org.user(username=user.username, name=user.last_name, active=user.active)
            )
            if user.role is not Role.ADMIN:
                self.org.update(self.ids[user.key], {"FirstName": user.first_name, "CountryCode": user.country})
        self._load_accounts()
        self._load_people()
        self._load_cases()
        self._load_opportunities()
        self._load_emails()

    def _insert(self, key: str, type: str, owner: str, created: datetime, fields: Mapping[str, Any]) -> None:
        audit = {"CreatedDate": created, "LastModifiedDate": created, "SystemModstamp": created, "CreatedById": owner}
        owned = {} if type == "EmailMessage" else {"OwnerId": owner}
        self.ids[key] = self.org.insert(type, {**fields, **audit, **owned})

    def _load_accounts(self) -> None:
        self.account_of: dict[str, tuple[str, datetime]] = {}
        for account in self.world.accounts:
            self.account_of[account.key] = owner, created = self.ids[account.owner], account.created
            fields: dict[str, Any] = {
                "Name": account.name,
                "BillingCity": account.town,
                "BillingCountry": account.country_text,
                "BillingCountryCode": account.country,
            }
            self._insert(account.key, "Account", owner, created, fields)

    def _load_people(self) -> None:
        countries = {account.key: account for account in self.world.accounts}
        for person in self.world.people:
            account = countries[person.account]
            fields: dict[str, Any] = {
                "AccountId": self.ids[person.account],
                "FirstName": person.first_name,
                "LastName": person.last_name,
                "Email": person.email,
                "MailingCity": account.town,
                "MailingCountry": account.country_text,
                "MailingCountryCode": account.country,
            }
            self._insert(person.key, "Contact", *self.account_of[person.account], fields)

    def _load_cases(self) -> None:
        for case in self.world.cases:
            fields: dict[str, Any] = {
                "AccountId": self.ids[case.account],
                "ContactId": self.ids[case.person],
                "Subject": case.subject[:255],
                "Origin": "Email",
            }
            self._insert(case.key, "Case", *self.account_of[case.account], fields)

    def _load_opportunities(self) -> None:
        for chance in self.world.opportunities:
            owner, created = self.account_of[chance.account]
            fields: dict[str, Any] = {
                "AccountId": self.ids[chance.account],
                "Name": chance.name[:120],
                "StageName": "Proposal",
                "CloseDate": created.date(),
            }
            self._insert(chance.key, "Opportunity", owner, created, fields)

    def _load_emails(self) -> None:
        for email in self.world.emails:
            fields: dict[str, Any] = {
                "ParentId": self.ids[email.case],
                "RelatedToId": self.ids[email.case],
                "Subject": email.subject,
                "TextBody": email.text,
                "FromAddress": email.sender,
                "ToAddress": email.recipient,
                "Status": _SENT,
                "MessageDate": email.sent,
                "Incoming": False,
            }
            self._insert(email.key, "EmailMessage", self.account_of[email.account][0], email.sent, fields)

    def load(self, document: Document) -> tuple[str, str]:
        """Put one document into the org; returns its kind and its id (18 characters)."""
        if document.hang is Hang.FILE:
            return "ContentDocument", self._file(document)
        return "Attachment", self._attachment(document)

    def _body(self, document: Document, index: int) -> bytes:
        data = self.corpus.make(index, document.kind, document.language).data
        return b"<p>" + data + b"</p>" if document.special is Special.NOTE else data

    def _attachment(self, document: Document) -> str:
        return self.org.add_attachment(
            parent=self.ids[document.parents[0]],
            name=document.name[:_TITLE_LENGTH],
            body=self._body(document, document.bodies[0]),
            content_type=MIME[document.kind],
            owner=self.ids[document.owner],
            created=document.created[0],
        )

    def _file(self, document: Document) -> str:
        if document.special is Special.LINK:
            return self._link(document)
        title, path, owner = _title(document.name), document.name, self.ids[document.owner]
        made = self.org.add_file(
            title=title,
            path_on_client=f"{title}.snote" if document.special is Special.NOTE else path,
            bodies=[self._body(document, document.bodies[0])],
            owner=owner,
            parents=[self._share(document, number, key) for number, key in enumerate(document.parents)],
            created=document.created[0],
            extra={"IsAssetEnabled": True} if document.special is Special.ASSET else {},
        )
        for index, moment in zip(document.bodies[1:], document.created[1:], strict=True):
            fields = {"ContentDocumentId": made.document_id, "Title": title, "PathOnClient": path}
            self._version(owner, moment, fields | {"VersionData": self._body(document, index)})
        if document.special is Special.ARCHIVED:
            stamps = dict.fromkeys(("LastModifiedDate", "SystemModstamp"), document.created[-1])
            self.org.update(made.document_id, {"IsArchived": True, **stamps})
        return made.document_id

    def _version(self, owner: str, moment: datetime, fields: Mapping[str, Any]) -> str:
        audit = {"CreatedDate": moment, "LastModifiedDate": moment, "SystemModstamp": moment, "CreatedById": owner}
        return self.org.insert("ContentVersion", {**fields, **audit, "OwnerId": owner})

    def _link(self, document: Document) -> str:
        fields = {
            "Title": document.name[:_TITLE_LENGTH],
            "ContentUrl": f"https://intranet.example.com/{document.key}",
            "FirstPublishLocationId": self.ids[document.parents[0]],
        }
        version = self.org.get(self._version(self.ids[document.owner], document.created[0], fields))
        return str((version or {})["ContentDocumentId"])

    def _share(self, document: Document, number: int, key: str) -> FileParent:
        """Most files can be seen inside the company only; some by customers too, and some may be edited."""
        turn = len(document.name) + number
        visibility = "InternalUsers" if self.org.options.communities and turn % 4 else "AllUsers"
        return FileParent(self.ids[key], share_type="C" if turn % 9 == 0 else "V", visibility=visibility)


def _title(name: str) -> str:
    """The title that an upload gets: the file name without its extension, unless the name is an odd one."""
    stem = name if name in AWKWARD_NAMES else name.rpartition(".")[0] or name
    return stem[:_TITLE_LENGTH]
