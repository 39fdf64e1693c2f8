"""Set up and run: `python3 bootstrap.py COMMAND …` makes .venv from requirements.lock once, then runs COMMAND in it.

Needs only Python 3.11 or newer with pip. Every package is checked against the hash in requirements.lock.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
MARK = VENV / "offloader-bootstrap"


def wanted() -> str:
    """What the environment was made from: a change makes it anew."""
    files = (ROOT / "requirements.lock", ROOT / "pyproject.toml")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest() + sys.version


def make() -> None:
    print("offloader: setting up .venv (once, a minute or two) …", file=sys.stderr)
    venv.create(VENV, with_pip=True, clear=VENV.exists())
    pip = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], check=True)
    MARK.write_text(wanted(), encoding="utf-8")


def main() -> int:
    if sys.version_info < (3, 11):
        print(f"offloader needs Python 3.11 or newer, this is {sys.version.split()[0]}", file=sys.stderr)
        return 2
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if not MARK.exists() or MARK.read_text(encoding="utf-8") != wanted():
            make()
        command = [str(BIN / sys.argv[1]), *sys.argv[2:]]
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    except KeyboardInterrupt:
        return 130
    except subprocess.CalledProcessError as error:
        return error.returncode


if __name__ == "__main__":
    sys.exit(main())
