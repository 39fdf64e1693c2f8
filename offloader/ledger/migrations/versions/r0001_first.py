"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from offloader.ledger import transitions

revision = "0001"
down_revision = None

_SQLITE_TRIGGERS = (
    """CREATE TRIGGER versions_begin BEFORE INSERT ON versions WHEN NEW.state <> 'seen'
       BEGIN SELECT RAISE(ABORT, 'a version begins as seen'); END""",
    """CREATE TRIGGER versions_move BEFORE UPDATE OF state ON versions
       WHEN NOT EXISTS (SELECT 1 FROM transitions WHERE from_state = OLD.state AND to_state = NEW.state)
       BEGIN SELECT RAISE(ABORT, 'illegal transition'); END""",
    "CREATE TRIGGER events_keep BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    "CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    *(
        f"""CREATE TRIGGER transitions_no_{act.lower()} BEFORE {act} ON transitions
            BEGIN SELECT RAISE(ABORT, 'only a migration changes the transitions'); END"""
        for act in ("INSERT", "UPDATE", "DELETE")
    ),
    *(
        f"CREATE TRIGGER plan_items_no_{act.lower()} BEFORE {act} ON plan_items "  # noqa: S608 - our own words
        f"WHEN EXISTS (SELECT 1 FROM plans WHERE id = {row}.plan AND status <> 'open') "
        "BEGIN SELECT RAISE(ABORT, 'the plan is sealed'); END"
        for act, row in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD"))
    ),
    """CREATE TRIGGER plans_frozen BEFORE UPDATE OF id, header, sha256, totals, created ON plans
       WHEN OLD.status <> 'open' BEGIN SELECT RAISE(ABORT, 'the plan is sealed'); END""",
    """CREATE TRIGGER plans_forward BEFORE UPDATE OF status ON plans
       WHEN NEW.status = 'open' OR (NEW.status IN ('sealed', 'applying', 'done') AND NEW.sha256 IS NULL)
       BEGIN SELECT RAISE(ABORT, 'the plan is not sealed, or cannot be opened again'); END""",
    "CREATE TRIGGER plans_stay BEFORE DELETE ON plans BEGIN SELECT RAISE(ABORT, 'plans are kept'); END",
)


def upgrade() -> None:
    """Make the tables, the transitions and the triggers that guard them."""
    _documents()
    _plans()
    table = op.create_table(
        "transitions",
        sa.Column("from_state", sa.String, primary_key=True),
        sa.Column("to_state", sa.String, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.bulk_insert(table, transitions.rows())
    if op.get_bind().dialect.name == "sqlite":
        for trigger in _SQLITE_TRIGGERS:
            op.execute(trigger)


def _documents() -> None:
    op.create_table(
        "scans",
        sa.Column("pk", sa.Integer, primary_key=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("since", sa.Text),
        sa.Column("cursor", sa.Text),
        sa.Column("watermark", sa.Text),
        sa.Column("finished", sa.String),
        sa.Column("blind_spots", sa.Text, nullable=False),
        sa.UniqueConstraint("source", "kind"),
    )
    op.create_table(
        "documents",
        sa.Column("pk", sa.Integer, primary_key=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("seen_at", sa.String, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("link_id", sa.String, unique=True),
        sa.Column("link_url", sa.Text),
        sa.Column("link_ref", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("source", "kind", "id"),
    )
    op.create_table(
        "former_refs",
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("document", sa.Integer, sa.ForeignKey("documents.pk"), nullable=False),
    )
    op.create_table(
        "versions",
        sa.Column("pk", sa.Integer, primary_key=True),
        sa.Column("document", sa.Integer, sa.ForeignKey("documents.pk"), nullable=False),
        sa.Column("scope", sa.Integer, sa.ForeignKey("scans.pk"), nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("document", "id"),
    )
    op.create_index("versions_by_state", "versions", ["scope", "state", "document", "size"])
    op.create_table(
        "copies",
        sa.Column("version", sa.Integer, sa.ForeignKey("versions.pk"), primary_key=True),
        sa.Column("store", sa.String, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("md5", sa.String, nullable=False),
        sa.Column("verified_at", sa.String),
        sa.Column("stale", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("copies_by_key", "copies", ["store", "key"])
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("document", sa.Integer),
        sa.Column("version", sa.Integer),
        sa.Column("from_state", sa.String),
        sa.Column("to_state", sa.String),
        sa.Column("rule", sa.Text),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_index("events_by_document", "events", ["document"])


def _plans() -> None:
    op.create_table(
        "plans",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("header", sa.Text, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("sha256", sa.String),
        sa.Column("totals", sa.Text, nullable=False),
        sa.Column("created", sa.String, nullable=False),
        sa.CheckConstraint(
            "status IN ('open', 'sealed', 'applying', 'done', 'refused', 'superseded')", name="plan_status"
        ),
    )
    op.create_table(
        "plan_items",
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("document", sa.Integer, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("store", sa.String),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("versions", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table("meta", sa.Column("key", sa.String, primary_key=True), sa.Column("value", sa.Text, nullable=False))
