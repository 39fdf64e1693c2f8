"""offloader audit"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from offloader.cli.exits import TABLE, Exit
from offloader.cli.output import SHOWN, Answer
from offloader.cli.session import Json, session_of
from offloader.errors import ConfigError

app = typer.Typer(name="audit", no_args_is_help=True, help="Verify, prove and export the event log.")


@app.callback()
def group() -> None:
    """Verify, prove and export the event log."""


@app.command(epilog=TABLE)
def key(
    out: Annotated[Path, typer.Option("--out", help="The private key's file; an existing one is never overwritten.")],
    as_json: Json = False,
) -> Answer:
    """Make a key that signs, for the event log or for a person, and print its public key."""
    from offloader.signing import new_key, public_key  # noqa: PLC0415

    private = new_key()
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigError(f"{out} exists; a key is never overwritten") from error
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(private + "\n")
    public = public_key(private)
    lines = [
        f"{out} holds the private key: keep it secret, and keep a copy where no fire reaches both.",
        f"Its public key: {public}",
    ]
    return Answer(data={"file": str(out), "public_key": public}, lines=lines)


@app.command(epilog=TABLE)
def checkpoint(context: typer.Context, as_json: Json = False) -> Answer:
    """Sign where the event log stands now, and copy that to the stores of `audit.stores`. Every run does so too."""
    from offloader.moves.checkpoints import checkpoint  # noqa: PLC0415

    with session_of(context).site() as site:
        made = checkpoint(site)
    if made is None:
        return Answer(data={"size": 0}, lines=["The event log is empty."])
    copies = f", with copies in {', '.join(made.stores)}" if made.stores else ""
    lines = [
        f"Checkpoint over {made.size} events{copies}. Root: {made.root}",
        *(f"! {note}" for note in made.notes),
    ]
    return Answer(Exit.REVIEW if made.notes else Exit.DONE, made.as_json(), lines)


@app.command(epilog=TABLE)
def verify(
    context: typer.Context,
    checkpoint: Annotated[
        list[Path] | None, typer.Option("--checkpoint", help="A checkpoint that you kept yourself; may be repeated.")
    ] = None,
    public: Annotated[
        list[str] | None,
        typer.Option("--public", help="Public key that may have signed; may be repeated. Without: `audit.key`'s."),
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Check the event log: its chain, its checkpoints and their copies in stores. Names the first event that is bad."""
    from offloader.moves.auditing import verify  # noqa: PLC0415

    outside = [(str(path), _read(path)) for path in checkpoint or ()]
    with session_of(context).site(exclusive=False, dry_run=True) as site:
        found = verify(site, public=public or (), outside=outside)
    lines = [
        (
            f"{found.events} events, {found.checkpoints} checkpoints, {found.signatures} signatures good, "
            f"{found.copies} copies compared. Newest hash: {found.head}"
        ),
        *(f"BROKEN: {problem}" for problem in found.problems[:SHOWN]),
        *(f"! {note}" for note in found.notes[:SHOWN]),
    ]
    code = Exit.FAILED if found.problems else Exit.REVIEW if found.notes else Exit.DONE
    return Answer(code, found.as_json(), lines)


@app.command(epilog=TABLE)
def prove(
    context: typer.Context,
    document: Annotated[str, typer.Argument(help="The document: its link, or SOURCE/KIND/ID.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the proof.")],
    as_json: Json = False,
) -> Answer:
    """Write all events of a document, with the proof that they are in the log of the newest checkpoint."""
    from offloader.moves.evidence import prove  # noqa: PLC0415
    from offloader.moves.restore import find  # noqa: PLC0415

    with session_of(context).site(exclusive=False, dry_run=True) as site:
        proof = prove(site, find(site, document))
    try:
        out.write_text(json.dumps(proof, indent=1) + "\n", encoding="ascii")
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
    count, size = len(proof["events"]), proof["checkpoint"]["size"]
    line = f"{out}: {count} events of {proof['document']}, proven in the log of {size} events."
    return Answer(data={"file": str(out), "document": proof["document"], "events": count, "size": size}, lines=[line])


@app.command(epilog=TABLE)
def export(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    as_json: Json = False,
) -> Answer:
    """Write the whole event log as files, with its checkpoints and a program that checks them without offloader."""
    from offloader.moves.evidence import export  # noqa: PLC0415

    with session_of(context).site(exclusive=False, dry_run=True) as site:
        counts = export(site, out)
    line = f"{out}: {counts['events']} events, {counts['checkpoints']} checkpoints. Read its README.txt."
    return Answer(data={"folder": str(out), **counts}, lines=[line])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error.__class__.__name__}") from error
