"""Alembic's script folder of the ledger."""
