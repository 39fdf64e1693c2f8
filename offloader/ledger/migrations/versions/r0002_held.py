"""What a store holds where that is not the document's own bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; copies made before are not encrypted."""
    op.add_column("copies", sa.Column("held_size", sa.BigInteger))
    op.add_column("copies", sa.Column("held_sha256", sa.String))
    op.add_column("copies", sa.Column("held_form", sa.String))
