"""The command line as a process of its own, forked from one that has imported everything already.

A fork is as real a process as any other: it can be killed, it holds its own locks, its end is its own. What is shared
is only the second that an interpreter needs to import the libraries.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from offloader import plugins

_WARM = (
    "offloader.cli.main",
    "offloader.cli.demo_proof",
    "offloader.wiring",
    "offloader.wrappers.faulty",
    "offloader_connectors.salesforce.plugin",
    "offloader_connectors.salesforce.source",
    "offloader_connectors.salesforce.emulator.plugin",
    "offloader_connectors.salesforce.emulator.emulator",
    "offloader_connectors.dynamics365.plugin",
    "offloader_connectors.dynamics365.source",
    "offloader_connectors.dynamics365.emulator.plugin",
    "offloader_connectors.dynamics365.emulator.emulator",
    "offloader_connectors.filesystem.plugin",
    "offloader_connectors.s3.store",
    "offloader_connectors.azure_blob.store",
    "offloader_policies.file_plugin",
    "offloader_policies.plugin",
    "sqlalchemy.dialects.sqlite",
    "alembic.command",
    "rich.progress",
)
#: packages all of whose modules are imported: each is small, and some command uses it
_WHOLE = ("offloader.disposition", "offloader.moves")


def warm() -> None:
    """Import what commands use, and find the plugins. Runs once, in the process that is forked."""
    for name in _WARM:
        importlib.import_module(name)
    for name in _WHOLE:
        for module in pkgutil.iter_modules(importlib.import_module(name).__path__, f"{name}."):
            importlib.import_module(module.name)
    for kind in plugins.GROUPS:
        plugins.available(kind)


def run(program: Sequence[str], *, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run `-m MODULE …` or `SCRIPT …` with Python; the answer is that of `subprocess.run(…, text=True)`.

    Raises TimeoutError when it has not ended by then; it is killed.
    """
    with tempfile.TemporaryDirectory() as box:
        out, err = Path(box, "out"), Path(box, "err")
        process = _context.Process(target=_carry_out, args=(list(program), str(out), str(err), dict(os.environ)))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{' '.join(program)} did not end within {timeout} s")
        return subprocess.CompletedProcess(
            list(program), process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
        )


@contextlib.contextmanager
def started(program: Sequence[str]) -> Iterator[BaseProcess]:
    """Start a program whose output nobody reads; killed in the end, if it has not ended by itself."""
    process = _context.Process(target=_carry_out, args=(list(program), os.devnull, os.devnull, dict(os.environ)))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


@contextlib.contextmanager
def serving(program: Sequence[str], *, timeout: float) -> Iterator[tuple[int, str]]:
    """Run a program that serves until it is stopped; gives its process number and the first line that it prints."""
    with tempfile.TemporaryDirectory() as box:
        out, err = Path(box, "out"), Path(box, "err")
        os.mkfifo(out)
        process = _context.Process(target=_carry_out, args=(list(program), str(out), str(err), dict(os.environ)))
        process.start()
        try:
            with out.open(encoding="utf-8") as lines:
                yield process.pid or 0, lines.readline()
        finally:
            process.terminate()
            process.join(timeout)
            process.kill()
            process.join()


def _carry_out(program: list[str], out: str, err: str, environ: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environ)
    for path, number in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), number)
    for stream in ("stdout", "stderr"):
        number = {"stdout": 1, "stderr": 2}[stream]
        setattr(sys, stream, os.fdopen(number, "w", encoding="utf-8", closefd=False))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module = program[0] == "-m"
    sys.argv = program[1:] if module else program
    if module:
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(program[0], run_name="__main__")


_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.warmed"])
