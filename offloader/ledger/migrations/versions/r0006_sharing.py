"""Equal bytes are found by their SHA-256, without reading every copy."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the index."""
    op.create_index("copies_by_sha256", "copies", ["sha256", "store"])
