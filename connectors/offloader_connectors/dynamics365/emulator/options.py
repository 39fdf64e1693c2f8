"""What differs between one environment and another, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

#: what an environment blocks unless its administrator says otherwise; whether it also blocks `url` differs
BLOCKED = (
    "ade", "adp", "app", "asa", "ashx", "asmx", "asp", "bas", "bat", "cdx", "cer", "chm", "class", "cmd", "com",
    "config", "cnt", "cpl", "crt", "csh", "der", "dll", "exe", "fxp", "hlp", "hpj", "hta", "htr", "htw", "ida",
    "idc", "idq", "inf", "ins", "isp", "its", "jar", "js", "jse", "ksh", "lnk", "mad", "maf", "mag", "mam", "maq",
    "mar", "mas", "mat", "mau", "mav", "maw", "mda", "mdb", "mde", "mdt", "mdw", "mdz", "msc", "msh", "msh1",
    "msh1xml", "msh2", "msh2xml", "mshxml", "msi", "msp", "mst", "ops", "pcd", "pif", "prf", "prg", "printer",
    "pst", "reg", "rem", "scf", "scr", "sct", "shb", "shs", "shtm", "shtml", "soap", "stm", "svg", "tmp", "vb",
    "vbe", "vbs", "vsmacros", "vss", "vst", "vsw", "ws", "wsc", "wsf", "wsh",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgOptions:
    """Settings of the environment. Where public sources leave a behaviour open, the switch says so."""

    #: extensions that attachments are refused for (organization.blockedattachments)
    blocked_extensions: tuple[str, ...] = BLOCKED
    #: largest Base64 text of a body in bytes (organization.maxuploadfilesize; 5,242,880 in a new environment)
    max_upload: int = 131_072_000
    #: most rows of a page, most that $count says, most rows that an aggregate reads
    page_cap: int = 5000
    count_cap: int = 5000
    aggregate_cap: int = 50_000
    #: deleted rows can be restored, and still count
    recycle_bin: bool = False
    bin_days: int = 30
    #: creations and deletions are written to the audit log (table audit)
    auditing: bool = False
    #: what RetrieveCurrentOrganization says that the environment is (OrganizationType)
    organization_type: str = "Customer"
    #: days after which a delta token is refused (organization.expirechangetrackingindays)
    tracking_days: int = 7
    #: what becomes of a read-only column in a payload (open question)
    read_only_columns: Literal["ignored", "refused"] = "ignored"
    #: annotation.filesize counts the Base64 padding as bytes (older versions did; newest: open question)
    filesize: Literal["padded", "exact"] = "padded"
    #: whether isdocument in a payload beats the rule "a note with a body is a document" (open question)
    isdocument: Literal["body", "payload"] = "body"
    #: what an update of one of several rows with one attachment does: it shows in all of them; it shows, and raises
    #: their versions; the row gets an attachment of its own (open question)
    shared_update: Literal["shared", "touching", "own"] = "shared"
    #: attachments of completed or cancelled mails are read-only (open question)
    completed_mail_locked: bool = False
    #: attachments of mails that are about to be sent are read-only
    pending_mail_locked: bool = True
    #: change tracking is enabled for activitymimeattachment (open question)
    mail_tracking: bool = False
    #: filters and $expand go through lookups that can lead to several tables (open question)
    polymorphic_paths: bool = True
    #: where the primary key stands in a row's JSON when $select does not name it (open question)
    key_position: Literal["first", "last"] = "last"
    #: In(PropertyValues=['…']) is taken as well as ["…"]; Microsoft's own pages use both ("In Function", "Filter rows")
    single_quoted_in: bool = True
    #: unique identifiers sort as the database compares them (last group first), or as text (open question)
    guid_order: Literal["database", "text"] = "database"
    #: every other write gets a row version that is lower by up to this many: its transaction was open for longer
    late_commit: int = 0
    #: a foreign plug-in puts a body back after this many calls; 0: there is none
    resurrect_after: int = 0
    #: files can be downloaded in several blocks; without it they are kept in the database
    chunking: bool = True
    #: GetFileSasUrl works
    sas: bool = True

    def changed(self, changes: Mapping[str, Any]) -> OrgOptions:
        """Raises ValueError for an unknown option or a value that it cannot have."""
        if unknown := set(changes) - {item.name for item in fields(self)}:
            raise ValueError(f"unknown org options: {', '.join(sorted(unknown))}")
        hints = get_type_hints(OrgOptions)
        for name, value in changes.items():
            allowed = get_args(hints[name])
            if allowed and ... not in allowed and value not in allowed:
                raise ValueError(f"option {name} is one of {', '.join(map(repr, allowed))}")
        lists = {name: tuple(value) for name, value in changes.items() if isinstance(value, list)}
        return replace(self, **{**changes, **lists})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
