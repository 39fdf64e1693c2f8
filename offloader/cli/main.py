"""The `offloader` command: global options, the list of commands, and how every error ends."""

from __future__ import annotations

import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_command

from offloader import __version__
from offloader.cli import (
    apply,
    approve,
    audit,
    check,
    demo,
    duplicates,
    erase,
    expire,
    export,
    gateway,
    hold,
    identity,
    init,
    ledger,
    plan,
    policy,
    purge,
    reconcile,
    rehome,
    report,
    restore,
    run,
    sandbox,
    scan,
    schema,
    service,
    status,
    verify,
)
from offloader.cli.exits import TABLE, Exit, exit_for
from offloader.cli.output import Answer, show
from offloader.cli.session import Session
from offloader.errors import OffloaderError
from offloader.moves.report import sentence

#: typer's own answer to Ctrl-C
_INTERRUPTED = 130

app = typer.Typer(
    name="offloader",
    help="Move CRM documents to region-pinned storage proven to be there, and put links in their place.",
    epilog=TABLE,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"offloader {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option("-c", "--config", help="The configuration file.", envvar="OFFLOADER_CONFIG")
    ] = Path("offloader.yaml"),
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    context.obj = Session(config)


for module in (
    demo,
    sandbox,
    init,
    check,
    scan,
    plan,
    approve,
    apply,
    run,
    status,
    verify,
    reconcile,
    restore,
    report,
    export,
    gateway,
    service,
    schema,
):
    app.command(module.__name__.rpartition(".")[2], epilog=TABLE)(module.command)
for group in (purge, policy, hold, expire, rehome, duplicates, audit, ledger, identity, erase):
    app.add_typer(group.app, name=group.__name__.rpartition(".")[2])
#: all commands with their options, made of `app` once: that takes longer than a small command
_commands = get_command(app)


def _terminate(signum: int, frame: Any) -> NoReturn:
    """SIGTERM ends a run as Ctrl-C does: what is under way is finished and written down."""
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> NoReturn:
    """Run a command and exit with its code. With `--json`, failures are one JSON object on stdout too."""
    arguments = sys.argv[1:] if argv is None else argv
    as_json = "--json" in arguments
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(_run(arguments, as_json=as_json))


def _run(arguments: list[str], *, as_json: bool) -> int:
    try:
        result = _commands(args=arguments, standalone_mode=False)
    except typer.Exit as error:
        if error.exit_code != _INTERRUPTED:
            return error.exit_code
        return _failed("interrupted; run again to go on", "Interrupted", Exit.FAILED, as_json=as_json)
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - the program's top: every error gets a code
        kind, message, code = _explain(error)
        return _failed(message, kind, code, as_json=as_json)
    if isinstance(result, Answer):
        show(result, as_json=as_json)
        return int(result.code)
    return int(result or 0)


def _explain(error: BaseException) -> tuple[str, str, Exit]:
    """An error's kind, its sentence, and its exit code."""
    if isinstance(error, typer.Abort | KeyboardInterrupt):
        return "Interrupted", "interrupted; run again to go on", Exit.FAILED
    if isinstance(error, typer.TyperException):
        return "usage", f"{_sentence(error)} (try --help)", Exit.USAGE
    if isinstance(error, OffloaderError):
        return type(error).__name__, sentence(error), exit_for(error)
    traceback.print_exception(error)
    return "internal", f"internal error: {error.__class__.__name__}", Exit.FAILED


def _sentence(error: typer.TyperException) -> str:
    describe = getattr(error, "format_message", None)
    return str(describe() if callable(describe) else error)


def _failed(message: str, kind: str, code: Exit, *, as_json: bool) -> int:
    if as_json:
        show(Answer(code, {"error": kind, "message": message}), as_json=True)
    else:
        from offloader.cli.output import printable  # noqa: PLC0415

        sys.stderr.write(f"offloader: {printable(message)}\n")
    return int(code)


if __name__ == "__main__":
    main()
