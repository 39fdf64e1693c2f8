"""Where a folder's bytes are, as far as the machine itself can say: device, mount, file system type."""

# Plain paths, as in store.py.
# ruff: noqa: PTH116, PTH120, PTH123
from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from offloader.model import Assurance, LocationProof

#: file systems that keep their bytes on a block device of this machine, across a power cut
LOCAL = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "xfs", "zfs"})
MOUNTS = "/proc/self/mounts"
VALIDITY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What a person has put in writing about the machine."""

    country: str
    subdivision: str | None
    attested_by: str | None
    attested_until: date | None
    #: a file system type beyond `LOCAL` that the attestation covers
    filesystem: str | None

    @property
    def ends(self) -> datetime | None:
        """The first moment (UTC) at which it no longer holds."""
        if self.attested_until is None:
            return None
        if self.attested_until == date.max:
            return datetime.max.replace(tzinfo=UTC)
        return datetime.combine(self.attested_until + timedelta(days=1), time.min, UTC)


@dataclass(frozen=True, slots=True)
class Mount:
    point: str
    type: str
    source: str


def mount_of(path: str, mounts: str = MOUNTS) -> Mount:
    """Find the mount that a real path lies on; type "unknown" where the machine does not tell."""
    best = Mount("", "unknown", "unknown")
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                source, point, kind, *_ = (_unescape(part) for part in line.split(" "))
                inside = path == point or path.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best.point):  # of equal ones, the later is mounted on top
                    best = Mount(point, kind, source)
    except (OSError, ValueError):
        return Mount("", "unknown", "unknown")
    return best


def _unescape(field: str) -> str:
    """Undo the octal escapes of proc_mounts(5) for space, tab, line feed, backslash and number sign."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), field)


def gather(path: str, mounts: str) -> Mapping[str, str]:
    """Look at the folder, or at its nearest existing ancestor. Raises OSError when even that cannot be seen."""
    real = os.path.realpath(path)
    seen = real
    while True:
        try:
            device = os.stat(seen).st_dev
            break
        except (FileNotFoundError, NotADirectoryError):
            seen = os.path.dirname(seen)
    mount = mount_of(seen, mounts)
    found = {
        "path": real,
        "device": f"{os.major(device)}:{os.minor(device)}",
        "filesystem": mount.type,
        "mount_point": mount.point,
        "mount_source": mount.source,
    }
    return {name: value.encode("utf-8", "backslashreplace").decode() for name, value in found.items()}


def prove(store: str, path: str, attestation: Attestation, now: datetime, *, mounts: str = MOUNTS) -> LocationProof:
    """Weigh the attestation against what the machine says. UNPROVEN, with what to do, unless all of it holds."""
    evidence = {
        "country": attestation.country,
        "subdivision": attestation.subdivision or "",
        "attested_by": attestation.attested_by or "",
        "attested_until": attestation.attested_until.isoformat() if attestation.attested_until else "",
        "attested_filesystem": attestation.filesystem or "",
    }
    trouble = None
    try:
        evidence.update(gather(path, mounts))
    except OSError as error:
        cause = errno.errorcode.get(error.errno or 0, type(error).__name__)
        trouble = f"the folder cannot be looked at ({cause}): give the offloader's user access to it"
    trouble = trouble or _trouble(attestation, evidence["filesystem"], now)
    good = trouble is None
    place = attestation.subdivision or attestation.country
    said = f"{attestation.attested_by} attests until {attestation.attested_until} that this disk is in {place}"
    return LocationProof(
        store=store,
        assurance=Assurance.ATTESTED if good else Assurance.UNPROVEN,
        countries=frozenset({attestation.country}) if good else frozenset(),
        taken=now,
        expires=min(attestation.ends or now, now + VALIDITY) if good else now,
        summary=said if good else f"unproven: {trouble}",
        evidence=evidence,
        sha256=fingerprint(evidence),
    )


def _trouble(attestation: Attestation, filesystem: str, now: datetime) -> str | None:
    if not attestation.attested_by or attestation.ends is None:
        return "nobody attests where this folder is: set attested_by and attested_until"
    if now >= attestation.ends:
        return (
            f"the attestation of {attestation.attested_by} ran out at the end of {attestation.attested_until}: "
            "have the place confirmed again and set attested_until"
        )
    if filesystem not in LOCAL and filesystem != attestation.filesystem:
        return (
            f"the folder's file system is {filesystem!r}, which may keep its bytes on another machine or lose them at "
            f"a power cut: use a local disk, or set `filesystem: {filesystem}` if the attestation covers it"
        )
    return None


def fingerprint(evidence: Mapping[str, str]) -> str:
    """SHA-256, in hex, of the canonical JSON: sorted keys, no spaces, UTF-8."""
    canonical = json.dumps(evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
