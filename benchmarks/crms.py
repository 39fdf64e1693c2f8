"""The emulated CRMs: logging in, finding bodies, and adding documents of a given size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

from harness import Sandbox, serving

if TYPE_CHECKING:
    from offloader_connectors.dynamics365.emulator.org import Org

_MOMENT = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


class Salesforce(Sandbox):
    """An emulated Salesforce organisation."""

    name = "salesforce"
    kinds = 2
    once = ("oauth2", "describe", "versions", "userinfo", "identity")
    #: seconds; everything here is younger than the usual overlap
    short_overlap: ClassVar[Mapping[str, object]] = {"overlap": 1}
    _API = "/services/data/v66.0"

    def token(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": self.source()["client_id"]}
        form["client_secret"] = self.secret()
        answer = self.http.post(f"{self.url}/services/oauth2/token", data=form, timeout=60)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def bodies(self) -> dict[str, int]:
        """Path and size in bytes of every body that the CRM holds now."""
        found = {}
        for kind, body, size in (
            ("ContentVersion", "VersionData", "ContentSize"),
            ("Attachment", "Body", "BodyLength"),
        ):
            query = urlencode({"q": f"SELECT Id, {size} FROM {kind}"})
            for row in self.pages(f"{self._API}/query?{query}", "nextRecordsUrl"):
                found[f"{self._API}/sobjects/{kind}/{row['Id']}/{body}"] = int(row[size])
        return found

    @staticmethod
    def add_large(directory: Path, size: int) -> None:
        """Put an account with one large file into a directory that nobody serves."""
        from offloader_connectors.emulation.blobs import Synthetic  # noqa: PLC0415 - memory is measured
        from offloader_connectors.salesforce.emulator.org import FileParent, Org  # noqa: PLC0415

        org = Org(directory, now=lambda: _MOMENT)
        address = {"BillingCountryCode": "DE", "BillingCountry": "Germany"}
        account = org.insert("Account", {"Name": "Large GmbH", **address})
        org.add_file(
            title="large",
            path_on_client="large.iso",
            bodies=[Synthetic(size, 1)],
            owner=org.integration_user,
            parents=[FileParent(account)],
            created=_MOMENT,
        )
        org.close()


class Dynamics(Sandbox):
    """An emulated Dynamics 365 environment."""

    name = "dynamics365"
    kinds = 4
    once = ("token", "oidc", "whoami", "metadata", "organization", "privileges")
    _API = "/api/data/v9.2"
    #: set, column of the attachment or note itself, column of the body
    _SHELVES = (
        ("annotations", "annotationid", "documentbody"),
        ("activitymimeattachments", "_attachmentid_value", "body"),
    )

    def token(self) -> str:
        options = self.source()
        challenge = self.http.get(f"{self.url}{self._API}/WhoAmI", timeout=60).headers["WWW-Authenticate"]
        authority = challenge.split("authorization_uri=", 1)[1].split(",")[0].strip('" ')
        form = {"grant_type": "client_credentials", "client_id": options["client_id"]}
        form |= {"client_secret": self.secret(), "scope": f"{self.url}/.default"}
        answer = self.http.post(authority.replace("/authorize", "/v2.0/token"), data=form, timeout=60)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def bodies(self) -> dict[str, int]:
        """Path and size in bytes of the body of every note and of every attachment, each by one of its rows."""
        found = {}
        seen = set()
        for name, blob, body in self._SHELVES:
            key = f"{name.removesuffix('s')}id" if name != "annotations" else blob
            query = f"{self._API}/{name}?$select={key},{blob},filesize&$filter=filesize%20gt%200"
            for row in self.pages(query, "@odata.nextLink"):
                if row[blob] not in seen:
                    seen.add(row[blob])
                    found[f"{self._API}/{name}({row[key]})/{body}/$value"] = int(row["filesize"])
        return found

    @staticmethod
    @contextmanager
    def _account(directory: Path) -> Iterator[tuple[Org, str]]:
        """The data of a directory that nobody serves, with a new account in Germany."""
        from offloader_connectors.dynamics365.emulator.org import Org  # noqa: PLC0415 - memory is measured

        org = Org(directory, now=lambda: _MOMENT)
        try:
            yield org, org.insert("account", {"name": "Large GmbH", "address1_country": "Germany"})
        finally:
            org.close()

    @classmethod
    def add_large(cls, directory: Path, size: int) -> None:
        """Put an account with one large note into a directory that nobody serves."""
        from offloader_connectors.emulation.blobs import Synthetic  # noqa: PLC0415 - memory is measured

        with cls._account(directory) as (org, account):
            org.add_note(
                parent=("account", account),
                file_name="large.iso",
                body=Synthetic(size, 1),
                owner=org.integration_user,
                created=_MOMENT,
            )

    @classmethod
    def add_shared(cls, directory: Path, size: int, mails: int) -> None:
        """Put so many sent mails about one account, all with the same attachment, into such a directory."""
        from offloader_connectors.emulation.blobs import Synthetic  # noqa: PLC0415 - memory is measured

        with cls._account(directory) as (org, account):
            shared = None
            for number in range(mails):
                sent = {"statecode": 1, "statuscode": 3, "createdon": _MOMENT, "modifiedon": _MOMENT}
                regarding = {"regardingobjectid": ("account", account)}
                mail = org.insert("email", {"subject": f"Offer {number}", **regarding, **sent})
                added = org.add_mail_attachment(
                    mail=("email", mail),
                    file_name="offer.pdf",
                    body=None if shared else Synthetic(size, 1),
                    attachment=shared,
                )
                shared = added.attachment_id


CRMS: dict[str, type[Salesforce] | type[Dynamics]] = {each.name: each for each in (Salesforce, Dynamics)}


@contextmanager
def sandbox(crm: str, directory: Path, *, documents: int) -> Iterator[Salesforce | Dynamics]:
    """Serve the CRM of that name."""
    with serving(CRMS[crm], directory, documents=documents) as running:
        yield running
