"""Imported by the process from which tests fork the command line."""

from tests.processes import warm

warm()
