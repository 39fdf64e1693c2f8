"""Downloads of one attachment that 50 mails share: a small one, which comes in a list, and one from Azure Storage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from crms import Dynamics
from harness import PYTHON, Measured, arguments, detail, offload, say, serving, workshop

MAILS = 50
SIZES = {"small": 60_000, "large": 24 * 1024**2}
#: in one of which a body comes, by size
DOWNLOADS = {"small": "list.attachment", "large": "sas"}


def moved(name: str, mails: int) -> tuple[Measured, dict[str, int]]:
    """Plan, then apply: the requests are those of the second step, which lists nothing and downloads."""
    with workshop() as directory:
        with serving(Dynamics, directory, documents=0):
            pass
        # a child inherits the peak of the process that starts it, so this one imports no emulator
        subprocess.run([*PYTHON, __file__, "--add-shared", str(directory), str(SIZES[name]), str(mails)], check=True)
        with serving(Dynamics, directory, documents=0) as crm:
            offload(crm, "scan")
            plan = offload(crm, "plan").answer["plan"]
            crm.admin("POST", "requests/reset")
            ran = offload(crm, "apply", str(plan))
            return ran, crm.requests()


def main() -> None:
    if sys.argv[1:2] == ["--add-shared"]:
        Dynamics.add_shared(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
        return
    options = arguments(__doc__, documents=MAILS, quick=5)
    for name, size in SIZES.items():
        ran, spent = moved(name, options.documents)
        say(f"downloads of {size} bytes that {options.documents} mails share", spent.get(DOWNLOADS[name], 0), 1)
        detail(documents_moved=ran.answer["moved"], bytes_moved=ran.answer["bytes"], peak_mb=ran.peak_mb)
        detail(**{what: spent[what] for what in sorted(spent)})


if __name__ == "__main__":
    main()
