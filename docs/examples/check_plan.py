"""Checks a plan that `offloader plan --out` wrote, without offloader: `python3 check_plan.py plan.jsonl`."""

import hashlib
import json
import sys
from pathlib import Path

header, *lines = Path(sys.argv[1]).read_bytes().splitlines(keepends=True)
said = json.loads(header)
sealed = {key: value for key, value in said.items() if key not in ("plan", "sha256", "totals")}
text = json.dumps(sealed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
found = hashlib.sha256(text.encode() + b"".join(lines)).hexdigest()
print(f"{said['plan']}: {len(lines)} lines, SHA-256 {found}")
if found != said["sha256"]:
    sys.exit("this is not the plan that was sealed")
