"""The end of a record or a blob under the retention schedule: purge, expiry, erasure, re-homing."""
