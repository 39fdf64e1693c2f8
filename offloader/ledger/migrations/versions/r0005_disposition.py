"""Acts of plans that dispose, deletions that wait, tombstones, requests of data subjects; every state can be erased."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from offloader.ledger import transitions

revision = "0005"
down_revision = "0004"

_SEALED = "(SELECT status FROM plans WHERE id = {row}.plan) <> 'open'"
_SQLITE_TRIGGERS = (
    """CREATE TRIGGER transitions_no_insert BEFORE INSERT ON transitions
       BEGIN SELECT RAISE(ABORT, 'only a migration changes the transitions'); END""",
    f"""CREATE TRIGGER plan_acts_no_insert BEFORE INSERT ON plan_acts WHEN {_SEALED.format(row="NEW")}
        BEGIN SELECT RAISE(ABORT, 'the plan is sealed'); END""",
    f"""CREATE TRIGGER plan_acts_no_delete BEFORE DELETE ON plan_acts WHEN {_SEALED.format(row="OLD")}
        BEGIN SELECT RAISE(ABORT, 'the plan is sealed'); END""",
    f"""CREATE TRIGGER plan_acts_frozen BEFORE UPDATE OF plan, seq, subject, act, part, size, body ON plan_acts
        WHEN {_SEALED.format(row="OLD")} BEGIN SELECT RAISE(ABORT, 'the plan is sealed'); END""",
    *(
        f"CREATE TRIGGER tombstones_no_{act.lower()} BEFORE {act} ON tombstones "
        "BEGIN SELECT RAISE(ABORT, 'tombstones are kept'); END"
        for act in ("UPDATE", "DELETE")
    ),
)


def upgrade() -> None:
    """Make the tables and the triggers that guard them."""
    op.create_table(
        "plan_acts",
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("act", sa.String, nullable=False),
        sa.Column("part", sa.String, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("plan_acts_by_state", "plan_acts", ["plan", "state", "seq"])
    op.create_index("plan_acts_by_subject", "plan_acts", ["subject"])
    op.create_table(
        "deletions",
        sa.Column("document", sa.Integer, sa.ForeignKey("documents.pk"), primary_key=True),
        sa.Column("since", sa.String, nullable=False),
        sa.Column("due", sa.String, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
    )
    op.create_table(
        "tombstones",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("ground", sa.String, nullable=False),
        sa.Column("plan", sa.String, nullable=False),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject_hash", sa.String, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("received", sa.String, nullable=False),
        sa.Column("due", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("plan", sa.String),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    if sqlite:
        op.execute("DROP TRIGGER transitions_no_insert")
    for row in transitions.rows():
        # our own words, not anybody's input
        op.execute(
            f"INSERT INTO transitions SELECT '{row['from_state']}', '{row['to_state']}' WHERE NOT EXISTS ("  # noqa: S608
            f"SELECT 1 FROM transitions WHERE from_state = '{row['from_state']}' AND to_state = '{row['to_state']}')"
        )
    if sqlite:
        for trigger in _SQLITE_TRIGGERS:
            op.execute(trigger)
