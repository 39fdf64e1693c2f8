"""What people say about plans, legal holds, checkpoints of the event log, and the reports that were written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SQLITE_TRIGGERS = (
    *(
        f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
        for table, act in (
            ("approvals", "UPDATE"),
            ("approvals", "DELETE"),
            ("hold_releases", "DELETE"),
            ("checkpoints", "DELETE"),
            ("reports", "UPDATE"),
            ("reports", "DELETE"),
        )
    ),
    """CREATE TRIGGER holds_stay BEFORE DELETE ON holds
       BEGIN SELECT RAISE(ABORT, 'holds are released, not deleted'); END""",
    """CREATE TRIGGER holds_release BEFORE UPDATE OF released_at ON holds
       WHEN NEW.released_at IS NOT NULL AND (SELECT count(*) FROM hold_releases WHERE hold = NEW.id) < 2
       BEGIN SELECT RAISE(ABORT, 'a hold is released by two people'); END""",
    """CREATE TRIGGER holds_frozen BEFORE UPDATE OF id, matter, scope, reason, freezes_moves, person, at ON holds
       BEGIN SELECT RAISE(ABORT, 'a hold does not change; add another one'); END""",
)


def upgrade() -> None:
    """Make the tables and the triggers that guard them."""
    op.create_table(
        "approvals",
        sa.Column("pk", sa.Integer, primary_key=True),
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("proof", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("said", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("valid_until", sa.String, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
    )
    op.create_index("approvals_by_plan", "approvals", ["plan"])
    op.create_table(
        "holds",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("matter", sa.String, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("freezes_moves", sa.Boolean, nullable=False),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("released_at", sa.String),
        sa.Column("noted", sa.Integer),
    )
    op.create_table(
        "hold_releases",
        sa.Column("hold", sa.String, sa.ForeignKey("holds.id"), primary_key=True),
        sa.Column("person", sa.String, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("noted", sa.Integer),
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("root", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("stores", sa.Text, nullable=False),
    )
    op.create_table(
        "reports",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("mode", sa.String, nullable=False),
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for trigger in _SQLITE_TRIGGERS:
            op.execute(trigger)
