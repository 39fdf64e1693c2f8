"""How those who hold and release were recognised, and their signatures; what is said once does not change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_SQLITE_TRIGGERS = (
    "DROP TRIGGER holds_release",
    """CREATE TRIGGER holds_release BEFORE UPDATE OF released_at ON holds
       WHEN OLD.released_at IS NOT NULL
         OR (SELECT min(count(DISTINCT person), count(DISTINCT proof)) FROM hold_releases WHERE hold = NEW.id) < 2
       BEGIN SELECT RAISE(ABORT, 'a hold is released by two people, once'); END""",
    """CREATE TRIGGER holds_begin BEFORE INSERT ON holds WHEN NEW.released_at IS NOT NULL
       BEGIN SELECT RAISE(ABORT, 'a hold begins unreleased'); END""",
    """CREATE TRIGGER holds_signed BEFORE UPDATE OF proof, signature ON holds
       BEGIN SELECT RAISE(ABORT, 'a hold does not change; add another one'); END""",
    """CREATE TRIGGER hold_releases_keep
       BEFORE UPDATE OF hold, person, proof, reason, at, signature ON hold_releases
       BEGIN SELECT RAISE(ABORT, 'hold_releases are append-only'); END""",
    """CREATE TRIGGER checkpoints_keep BEFORE UPDATE OF size, root, at, signature ON checkpoints
       BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END""",
)


def upgrade() -> None:
    """Add the columns and the triggers."""
    for table in ("holds", "hold_releases"):
        op.add_column(table, sa.Column("proof", sa.String, nullable=False, server_default=""))
        op.add_column(table, sa.Column("signature", sa.Text, nullable=False, server_default=""))
    if op.get_bind().dialect.name == "sqlite":
        for trigger in _SQLITE_TRIGGERS:
            op.execute(trigger)
