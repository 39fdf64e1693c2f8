"""The filesystem store's options, and what its location proof rests on."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from offloader.evidence import read
from offloader.model import Assurance, LocationProof
from offloader.plugins import StorePlugin, load
from offloader_connectors.filesystem.location import Attestation, Mount, mount_of, prove
from offloader_connectors.filesystem.plugin import STORE

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = Attestation(
    country="DE", subdivision=None, attested_by="Ms Example", attested_until=date(2026, 3, 31), filesystem=None
)


def proof(tmp_path: Path, disk: str = "ext4", *, now: datetime = NOW, **changes: Any) -> LocationProof:
    """Prove a folder on a made-up mount, with an attestation that differs from a good one by these fields."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / {disk} rw 0 0\n")
    fields = {
        name: getattr(GOOD, name) for name in ("country", "subdivision", "attested_by", "attested_until", "filesystem")
    }
    return prove("de", str(tmp_path / "not" / "there"), Attestation(**{**fields, **changes}), now, mounts=str(mounts))


def test_the_plugin_is_found_by_its_entry_point() -> None:
    """The store is installed under the name filesystem."""
    assert load(StorePlugin, "filesystem") is STORE


@pytest.mark.parametrize(
    "change",
    [
        {"country": "de"},
        {"country": "UK"},
        {"country": "DEU"},
        {"country": ""},
        {"subdivision": "FR-75"},
        {"attested_by": " "},
        {"attested_until": "soon"},
        {"filesystem": ""},
        {"region": "eu"},
        {"path": None},
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], change: dict[str, Any]) -> None:
    """An option that is unknown, or says nothing definite about the place, is an error."""
    STORE.options.model_validate(options)
    with pytest.raises(ValidationError):
        STORE.options.model_validate({**options, **change})


def test_every_option_is_described() -> None:
    """Each option says what it means."""
    assert all(field.description for field in STORE.options.model_fields.values())


def test_an_attested_local_disk_is_attested(tmp_path: Path) -> None:
    """A local disk with an attestation in force is ATTESTED in its country for a day, with the machine's evidence."""
    found = proof(tmp_path)
    assert (found.assurance, found.countries) == (Assurance.ATTESTED, frozenset({"DE"}))
    assert (found.taken, found.expires) == (NOW, datetime(2026, 3, 2, 12, tzinfo=UTC))
    folder, word = (read(found.evidence[name])["answer"] for name in ("folder", "attestation"))
    assert (folder["filesystem"], folder["path"]) == ("ext4", str(tmp_path / "not" / "there"))
    assert word["by"] == "Ms Example"
    assert [(probe.id, probe.verdict) for probe in found.probes] == [("attestation", "ok"), ("folder", "ok")]


def test_a_proof_ends_with_the_attestation(tmp_path: Path) -> None:
    """On the attestation's last day the proof holds until midnight UTC, and from then on there is none."""
    midnight = datetime(2026, 4, 1, tzinfo=UTC)
    assert proof(tmp_path, now=datetime(2026, 3, 31, 23, 59, tzinfo=UTC)).expires == midnight
    late = proof(tmp_path, now=midnight)
    assert (late.assurance, late.countries) == (Assurance.UNPROVEN, frozenset())
    assert not late.usable_at(midnight)
    assert "attested_until" in late.summary


@pytest.mark.parametrize("missing", ["attested_by", "attested_until"])
def test_nothing_is_proven_without_an_attestation(tmp_path: Path, missing: str) -> None:
    """Without somebody who says where the disk is, and until when, the place is UNPROVEN, with what to do."""
    absent: dict[str, Any] = {missing: None}
    found = proof(tmp_path, **absent)
    assert found.assurance is Assurance.UNPROVEN
    assert missing in found.summary


@pytest.mark.parametrize("filesystem", ["nfs4", "cifs", "fuse.sshfs", "9p", "tmpfs", "overlay", "something-new"])
def test_other_file_systems_need_to_be_attested(tmp_path: Path, filesystem: str) -> None:
    """What is no plain local disk is UNPROVEN, unless the attestation names just this type."""
    found = proof(tmp_path, filesystem)
    assert found.assurance is Assurance.UNPROVEN
    assert f"filesystem: {filesystem}" in found.summary
    assert proof(tmp_path, filesystem, filesystem="nfs3").assurance is Assurance.UNPROVEN
    assert proof(tmp_path, filesystem, filesystem=filesystem).assurance is Assurance.ATTESTED


def test_a_machine_that_does_not_tell_is_unproven(tmp_path: Path) -> None:
    """Without a mount table the file system is unknown, and so is the place."""
    found = prove("de", str(tmp_path), GOOD, NOW, mounts=str(tmp_path / "none"))
    assert found.assurance is Assurance.UNPROVEN
    assert read(found.evidence["folder"])["answer"]["filesystem"] == "unknown"


def test_a_folder_that_cannot_be_seen_is_unproven(tmp_path: Path) -> None:
    """A path that the machine refuses to look at is bad news, not an error."""
    found = prove("de", str(tmp_path / ("x" * 300)), GOOD, NOW)
    assert found.assurance is Assurance.UNPROVEN
    assert "ENAMETOOLONG" in found.summary


def test_a_link_to_another_disk_is_followed(tmp_path: Path) -> None:
    """What counts is where a symbolic link leads."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store").symlink_to("elsewhere")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path}/elsewhere nfs4 rw 0 0\n")
    found = prove("de", str(tmp_path / "store"), GOOD, NOW, mounts=str(mounts))
    assert found.assurance is Assurance.UNPROVEN
    assert read(found.evidence["folder"])["answer"]["filesystem"] == "nfs4"


def test_an_attestation_for_ever_is_dated_too(tmp_path: Path) -> None:
    """The last day that a calendar knows is as good as any other."""
    assert proof(tmp_path, attested_until=date.max).assurance is Assurance.ATTESTED


def test_other_evidence_has_another_digest(tmp_path: Path) -> None:
    """The digest changes when anything that was found or said changes."""
    found = [
        proof(tmp_path),
        proof(tmp_path, "xfs"),
        proof(tmp_path, country="FR"),
        proof(tmp_path, attested_by="Mr X"),
    ]
    assert len({each.sha256 for each in found}) == len(found)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", Mount("/", "ext4", "/dev/sda1")),
        ("/srv/database", Mount("/", "ext4", "/dev/sda1")),
        ("/srv/data", Mount("/srv/data", "nfs4", "server:/export")),
        ("/srv/data/a", Mount("/srv/data", "nfs4", "server:/export")),
        ("/mnt/my disk/a", Mount("/mnt/my disk", "xfs", "/dev/sdb")),
    ],
)
def test_the_innermost_and_last_mount_counts(tmp_path: Path, path: str, expected: Mount) -> None:
    """A path lies on the longest mount point that holds it; of two on one point, on the later."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\n/dev/sdc /srv/data ext4 rw 0 0\nserver:/export /srv/data nfs4 rw 0 0\n"
        "/dev/sdb /mnt/my\\040disk xfs rw 0 0\n"
    )
    assert mount_of(path, str(mounts)) == expected
