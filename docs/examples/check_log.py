"""Checks the event log of a ledger without offloader: `python3 check_log.py ledger.sqlite`."""

import hashlib
import json
import sqlite3
import sys

events = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute(
    "SELECT seq, at, type, document, version, from_state, to_state, rule, data, hash FROM events ORDER BY seq"
)
names = ("seq", "at", "type", "document", "version", "from", "to", "rule")
head, last = "0" * 64, 0
for *values, data, stored in events:
    event = {**dict(zip(names, values, strict=True)), "data": json.loads(data)}
    text = head + json.dumps(event, sort_keys=True, separators=(",", ":"))
    head, last = hashlib.sha256(text.encode("ascii")).hexdigest(), last + 1
    if event["seq"] != last or head != stored.hex():
        sys.exit(f"event {last} is missing, out of order, or was changed")
print(f"{last} events hold together; the newest has the hash {head}")
