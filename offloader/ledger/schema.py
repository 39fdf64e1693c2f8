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
HEAD = "0002"

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

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)
