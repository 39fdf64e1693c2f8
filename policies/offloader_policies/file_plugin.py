"""A policy file as a plugin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from offloader.model import Finding
from offloader.plugins import CaseResult, Context, Options, PolicyName, PolicyPlugin, WholePolicy
from offloader.ports import Target
from offloader_policies.language import cases, lint, naming, showing
from offloader_policies.language.layers import load
from offloader_policies.language.model import json_schema
from offloader_policies.language.policy import FilePolicy


class FileOptions(Options):
    """Options of a policy that stands in a file."""

    path: Path = Field(description="The policy file; relative to the folder of offloader.yaml.")


def open_file(options: FileOptions, context: Context) -> FilePolicy:
    """Read the file and all its layers. Raises ConfigError naming file, line and key."""
    return FilePolicy(load(context.directory / options.path))


def lint_file(options: FileOptions, context: Context, targets: Sequence[Target]) -> Sequence[Finding]:
    """What is doubtful about the policy, given the stores that it may choose from."""
    return tuple(lint.findings(open_file(options, context), targets, context.now()))


def test_file(options: FileOptions, context: Context) -> Sequence[CaseResult]:
    """Run the examples that stand in the file and its layers."""
    return tuple(cases.run(open_file(options, context), context.now()))


def show_file(options: FileOptions, context: Context) -> WholePolicy:
    """Every effective value of the file and its layers."""
    return showing.whole(open_file(options, context))


def names_of_file(options: FileOptions, context: Context) -> Sequence[PolicyName]:
    """The sources, kinds and stores that the file and its layers name."""
    return tuple(naming.named(open_file(options, context).book))


POLICY = PolicyPlugin(
    help="A policy in a file of its own: clauses, layers, tests.",
    options=FileOptions,
    open=open_file,
    lint=lint_file,
    test=test_file,
    schema=json_schema,
    show=show_file,
    names=names_of_file,
)
