"""Where a folder's bytes are, as far as the machine itself can say: device, mount, file system type."""

# Plain paths, as in store.py.
# ruff: noqa: PTH116, PTH120, PTH123
from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from offloader.model import Assurance, LocationProof
from offloader_connectors.regions import evidence
from offloader_connectors.regions.evidence import Outcome, Question, Result

#: file systems that keep their bytes on a block device of this machine, across a power cut
LOCAL = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "xfs", "zfs"})
MOUNTS = "/proc/self/mounts"
VALIDITY = timedelta(hours=24)
QUESTIONS = {
    "attestation": Question(
        asks="Who vouches for the place?",
        remedy="Have somebody confirm where the disk is, and set attested_by and attested_until.",
        watched=False,
    ),
    "folder": Question(
        asks="Which disk is the folder on?",
        remedy="Put the store on a local disk, or have the attestation cover this one and set filesystem.",
    ),
}


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


def gather(path: str, mounts: str) -> tuple[dict[str, str], str]:
    """Look at the folder, or at its nearest existing ancestor: what lasts, and the device's number of today.

    Raises OSError when even the ancestor cannot be seen.
    """
    real = os.path.realpath(path)
    seen = real
    while True:
        try:
            device = os.stat(seen).st_dev
            break
        except (FileNotFoundError, NotADirectoryError):
            seen = os.path.dirname(seen)
    mount = mount_of(seen, mounts)
    found = {"path": real, "filesystem": mount.type, "mount_point": mount.point, "mount_source": mount.source}
    return found, f"{os.major(device)}:{os.minor(device)}"


def prove(store: str, path: str, attestation: Attestation, now: datetime, *, mounts: str = MOUNTS) -> LocationProof:
    """Weigh the attestation against what the machine says. UNPROVEN, with what to do, unless all of it holds."""
    folder, device = _folder(path, attestation, mounts)
    results = {"attestation": _attested(attestation, now), "folder": folder}
    assurance = evidence.weigh(results, results, provable=False, attested=True)
    good = assurance is Assurance.ATTESTED
    found = {name: result.text() for name, result in results.items()}
    found[evidence.ABOUT] = evidence.canonical({"device": device})
    trouble = "; ".join(result.says for result in results.values() if result.outcome is not Outcome.OK)
    return LocationProof(
        store=store,
        assurance=assurance,
        countries=evidence.places(results) if good else frozenset(),
        taken=now,
        expires=min(attestation.ends or now, now + VALIDITY) if good else now,
        summary=results["attestation"].says if good else f"unproven: {trouble}",
        evidence=found,
        sha256=evidence.fingerprint(found),
        probes=evidence.told(results, QUESTIONS),
    )


def _attested(attestation: Attestation, now: datetime) -> Result:
    place = attestation.subdivision or attestation.country
    until = attestation.attested_until.isoformat() if attestation.attested_until else None
    answer = {"by": attestation.attested_by, "country": attestation.country, "place": place, "until": until}
    if not attestation.attested_by or attestation.ends is None:
        says = "nobody attests where this folder is: set attested_by and attested_until"
    elif now >= attestation.ends:
        says = (
            f"the attestation of {attestation.attested_by} ran out at the end of {until}: "
            "have the place confirmed again and set attested_until"
        )
    else:
        says = f"{attestation.attested_by} attests until {until} that this disk is in {place}"
        places = {place: frozenset({attestation.country})}
        return Result(outcome=Outcome.OK, says=says, places=places, answer=answer)
    return Result(outcome=Outcome.UNKNOWN, says=says, answer=answer)


def _folder(path: str, attestation: Attestation, mounts: str) -> tuple[Result, str]:
    try:
        found, device = gather(path, mounts)
    except OSError as error:
        cause = errno.errorcode.get(error.errno or 0, type(error).__name__)
        says = f"the folder cannot be looked at ({cause}): give the offloader's user access to it"
        return Result(outcome=Outcome.UNKNOWN, says=says), ""
    filesystem = found["filesystem"]
    covered = filesystem in LOCAL or filesystem == attestation.filesystem
    says = f"the folder {found['path']} is on {found['mount_source']} ({filesystem})"
    if not covered:
        says = (
            f"the folder's file system is {filesystem!r}, which may keep its bytes on another machine or lose them at "
            f"a power cut: use a local disk, or set `filesystem: {filesystem}` if the attestation covers it"
        )
    answer = {**found, "attested_filesystem": attestation.filesystem}
    return Result(outcome=Outcome.OK if covered else Outcome.UNKNOWN, says=says, answer=answer), device
