"""`python later.py CONFIG HOURS [WORD…]`: a command (a run) on a machine whose clock is so many hours ahead."""

from __future__ import annotations

import sys
from datetime import timedelta

from offloader import system
from offloader.cli.main import main

if __name__ == "__main__":
    ahead, now = timedelta(hours=float(sys.argv[2])), system._now
    system._now = lambda: now() + ahead
    main(["-c", sys.argv[1], *(sys.argv[3:] or ["run"]), "--json"])
