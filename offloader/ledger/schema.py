"""The tables as the program uses them. The migrations make them; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

#: the revision that this program works with; revisions are four digits and only grow
HEAD = "0006"

metadata = MetaData()

#: one row per kind of a source: how far its scan has come. Its pk is the versions' `scope`
scans = Table(
    "scans",
    metadata,
    Column("pk", Integer, primary_key=True),
    Column("source", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("since", Text),
    Column("cursor", Text),
    Column("watermark", Text),
    Column("finished", String),
    Column("blind_spots", Text, nullable=False),
    UniqueConstraint("source", "kind"),
)

documents = Table(
    "documents",
    metadata,
    Column("pk", Integer, primary_key=True),
    Column("source", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("id", String, nullable=False),
    Column("seen_at", String, nullable=False),
    Column("deleted", Boolean, nullable=False),
    #: over the body and all versions' bodies: equal means that the CRM shows nothing new
    Column("fingerprint", LargeBinary, nullable=False),
    Column("link_id", String, unique=True),
    Column("link_url", Text),
    Column("link_ref", Text),
    Column("body", Text, nullable=False),
    UniqueConstraint("source", "kind", "id"),
)

#: references that documents had before they were restored under new ids
former_refs = Table(
    "former_refs",
    metadata,
    Column("source", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("document", Integer, ForeignKey("documents.pk"), nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("pk", Integer, primary_key=True),
    Column("document", Integer, ForeignKey("documents.pk"), nullable=False),
    Column("scope", Integer, ForeignKey("scans.pk"), nullable=False),
    Column("id", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("size", BigInteger),
    Column("detail", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("document", "id"),
    # Answers "which documents have a version in this state", page by page, and all counts, without the tables.
    Index("versions_by_state", "scope", "state", "document", "size"),
)

copies = Table(
    "copies",
    metadata,
    Column("version", Integer, ForeignKey("versions.pk"), primary_key=True),
    Column("store", String, primary_key=True),
    Column("key", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("md5", String, nullable=False),
    Column("verified_at", String),
    #: what the store holds, where that is not the document's own bytes
    Column("held_size", BigInteger),
    Column("held_sha256", String),
    Column("held_form", String),
    #: the version's bytes in the CRM are no longer these
    Column("stale", Boolean, nullable=False),
    Index("copies_by_key", "store", "key"),
    Index("copies_by_sha256", "sha256", "store"),
)

transitions = Table(
    "transitions",
    metadata,
    Column("from_state", String, primary_key=True),
    Column("to_state", String, primary_key=True),
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String, nullable=False),
    Column("type", String, nullable=False),
    Column("document", Integer),
    Column("version", Integer),
    Column("from_state", String),
    Column("to_state", String),
    Column("rule", Text),
    Column("data", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index("events_by_document", "document"),
)

plans = Table(
    "plans",
    metadata,
    Column("id", String, primary_key=True),
    Column("header", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("sha256", String),
    Column("totals", Text, nullable=False),
    Column("created", String, nullable=False),
)

plan_items = Table(
    "plan_items",
    metadata,
    Column("plan", String, ForeignKey("plans.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("document", Integer, nullable=False),
    Column("verdict", String, nullable=False),
    Column("code", String, nullable=False),
    Column("store", String),
    Column("size", BigInteger, nullable=False),
    Column("versions", Integer, nullable=False),
    Column("body", Text, nullable=False),
)

#: what people said about plans; never changed, a later line of the same person counts
approvals = Table(
    "approvals",
    metadata,
    Column("pk", Integer, primary_key=True),
    Column("plan", String, ForeignKey("plans.id"), nullable=False),
    #: the plan's own hash as that person saw it
    Column("sha256", String, nullable=False),
    Column("person", String, nullable=False),
    #: how the person was recognised: "login:jdevries", "key:<thumbprint>"
    Column("proof", String, nullable=False),
    Column("role", String, nullable=False),
    #: approved, rejected or withdrawn
    Column("said", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String, nullable=False),
    Column("valid_until", String, nullable=False),
    #: compact JWS over all of the above
    Column("signature", Text, nullable=False),
    Index("approvals_by_plan", "plan"),
)

#: legal holds; one stands until its release is complete
holds = Table(
    "holds",
    metadata,
    Column("id", String, primary_key=True),
    Column("matter", String, nullable=False),
    #: JSON: what it covers
    Column("scope", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("freezes_moves", Boolean, nullable=False),
    Column("person", String, nullable=False),
    Column("at", String, nullable=False),
    Column("released_at", String),
    #: number of the event that tells of it, None until the log's writer has noted it
    Column("noted", Integer),
    #: how the person was recognised, and a compact JWS over what they said, empty if nobody could sign
    Column("proof", String, nullable=False, server_default=""),
    Column("signature", Text, nullable=False, server_default=""),
)

#: who has agreed to a hold's release; it takes two
hold_releases = Table(
    "hold_releases",
    metadata,
    Column("hold", String, ForeignKey("holds.id"), primary_key=True),
    Column("person", String, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", String, nullable=False),
    Column("noted", Integer),
    Column("proof", String, nullable=False, server_default=""),
    Column("signature", Text, nullable=False, server_default=""),
)

#: signed heads of the event log's Merkle tree
checkpoints = Table(
    "checkpoints",
    metadata,
    #: how many events the tree is over
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("root", String, nullable=False),
    Column("at", String, nullable=False),
    Column("signature", Text, nullable=False),
    #: JSON: stores that hold a copy, and under which key
    Column("stores", Text, nullable=False),
)

#: reports that were written, with what the next one is compared with
reports = Table(
    "reports",
    metadata,
    Column("id", String, primary_key=True),
    #: dry-run or run
    Column("mode", String, nullable=False),
    Column("plan", String, ForeignKey("plans.id"), nullable=False),
    Column("at", String, nullable=False),
    Column("summary", Text, nullable=False),
)

#: the acts of plans that are not about moving: purge, expire, erase, rehome
plan_acts = Table(
    "plan_acts",
    metadata,
    Column("plan", String, ForeignKey("plans.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    #: what it is about, as text: a record, a document, a copy
    Column("subject", Text, nullable=False),
    #: what is to be done, in one word of the plan's kind ("delete", "keep", "review", …)
    Column("act", String, nullable=False),
    #: object type or store, by which caps and reports count
    Column("part", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    #: canonical JSON: the line that is hashed and exported
    Column("body", Text, nullable=False),
    #: open, archived, done, skipped, conflict, failed, held; all but this and `detail` is frozen by the seal
    Column("state", String, nullable=False),
    Column("detail", Text, nullable=False),
    Index("plan_acts_by_state", "plan", "state", "seq"),
    Index("plan_acts_by_subject", "subject"),
)

#: documents that were certainly deleted in the CRM and wait for their time
deletions = Table(
    "deletions",
    metadata,
    Column("document", Integer, ForeignKey("documents.pk"), primary_key=True),
    Column("since", String, nullable=False),
    Column("due", String, nullable=False),
    #: how that is known, in the CRM's own words
    Column("evidence", Text, nullable=False),
)

#: what was erased for good: a keyed hash of what it was, no content, no name
tombstones = Table(
    "tombstones",
    metadata,
    Column("hash", String, primary_key=True),
    Column("at", String, nullable=False),
    #: ground and rule: "art17", "retention NL-R5", …
    Column("ground", String, nullable=False),
    Column("plan", String, nullable=False),
)

#: requests of data subjects: erasure and access, with their legal clock
requests = Table(
    "requests",
    metadata,
    Column("id", String, primary_key=True),
    #: erasure or access
    Column("kind", String, nullable=False),
    #: keyed hash of the subject, and the subject itself while the request is open
    Column("subject_hash", String, nullable=False),
    Column("subject", Text, nullable=False),
    Column("received", String, nullable=False),
    Column("due", String, nullable=False),
    #: open, held, done, refused
    Column("state", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("plan", String),
)

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)
