"""`python crashing.py CONFIG PORT METHOD NTH before|after [COMMAND [PLAN]]`: the command, ended by SIGKILL at one step.

PORT is source, store, records or ledger; COMMAND is run, restore, purge or revive. The kill comes just before or just
after the n-th call of METHOD, as a power cut would: nothing is cleaned up, nothing is flushed. `restore` puts back all
that was moved, `purge` and `revive` carry a purge plan out and bring its records back.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from offloader.config import load_config
from offloader.disposition.purging import apply_purge
from offloader.disposition.reviving import revive
from offloader.model import State
from offloader.moves.pages import entries_in
from offloader.moves.restore import restore
from offloader.moves.run import run
from offloader.moves.site import Site
from offloader.system import system_context
from offloader.wiring import open_site
from offloader.wrappers.faulty import Faulty


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def carry_out(command: str, site: Site, plan: str) -> None:
    if command == "purge":
        apply_purge(site, plan)
    elif command == "revive":
        revive(site, [plan])
    elif command == "restore":
        restore(site, entries_in(site, {State.DONE}))
    else:
        run(site)


def main(config_path: str, port: str, method: str, nth: str, moment: str, command: str = "run", plan: str = "") -> None:
    path = Path(config_path)
    with open_site(load_config(path), system_context(path.parent)) as site:
        hook = {moment: die}

        def deadly(wrapped):  # type: ignore[no-untyped-def]
            return Faulty(wrapped).on(method, nth=int(nth), before=hook.get("before"), after=hook.get("after")).port

        if port == "source":
            sources = {name: deadly(source) for name, source in site.sources.items()}
            carry_out(command, replace(site, sources=sources), plan)
        elif port == "records":
            records = cache(lambda source: deadly(site.records(source)))
            carry_out(command, replace(site, records=records), plan)
        elif port == "store":
            stores = {name: deadly(store) for name, store in site.stores.items()}
            carry_out(command, replace(site, stores=stores), plan)
        else:
            carry_out(command, replace(site, ledger=deadly(site.ledger)), plan)
    sys.exit("the command ended without reaching the step")


if __name__ == "__main__":
    main(*sys.argv[1:])
