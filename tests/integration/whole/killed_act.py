"""`python killed_act.py CONFIG PLAN PORT METHOD NTH before|after`: a plan of acts, ended by SIGKILL at one step.

PORT is source, records, store or ledger, as in `crashing.py`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from offloader.config import load_config
from offloader.disposition.kinds import apply_of
from offloader.moves.sealing import plan_of
from offloader.system import system_context
from offloader.wiring import open_site
from offloader.wrappers.faulty import Faulty
from tests.integration.whole.crashing import die


def main(config: str, plan: str, port: str, method: str, nth: str, moment: str) -> None:
    path = Path(config)
    with open_site(load_config(path), system_context(path.parent)) as site:
        hook = {moment: die}

        def deadly(wrapped):  # type: ignore[no-untyped-def]
            return Faulty(wrapped).on(method, nth=int(nth), before=hook.get("before"), after=hook.get("after")).port

        parts = {
            "source": lambda: {"sources": {name: deadly(each) for name, each in site.sources.items()}},
            "store": lambda: {"stores": {name: deadly(each) for name, each in site.stores.items()}},
            "records": lambda: {"records": cache(lambda name: deadly(site.records(name)))},
            "ledger": lambda: {"ledger": deadly(site.ledger)},
        }
        apply = apply_of(plan_of(site, plan))
        assert apply is not None
        apply(replace(site, **parts[port]()), plan, None)
    sys.exit("the plan was carried out without reaching the step")


if __name__ == "__main__":
    main(*sys.argv[1:])
