"""What the filesystem store does beyond the contract: durability, damage, errors of the system, broken-off writes."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from offloader.errors import Conflict, IntegrityError, OffloaderError, Permanent, StoreFull, Transient
from offloader.model import Digest
from offloader_connectors.filesystem import store as module
from offloader_connectors.filesystem.store import FilesystemStore

KEY = "documents/crm/0123abcd/1"
BODY = b"0123456789" * 6000

WRITER = """
import os, sys
from pathlib import Path
from offloader.testing import context
from offloader_connectors.filesystem.plugin import STORE

store = STORE.open("de", STORE.options(path="de", country="DE"), context(Path(sys.argv[1])))

def wait():
    print("ready", flush=True)
    sys.stdin.read(1)
"""
MID_BODY = """
def chunks():
    yield b"x" * 100000
    wait()
store.put("half", chunks())
"""
AFTER_LINK = """
link = os.link
def linked(*names):
    link(*names)
    wait()
os.link = linked
store.put("whole", [b"x" * 100000])
"""
RACE = """
wait()
for number in range(60):
    body = [sys.argv[2].encode() if number % 2 else b"same"] * 5000
    try:
        store.put(f"race/{number}", body)
        print(number, flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"""


def writer(tmp_path: Path, script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start another process on the same store, and wait until it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER + script, str(tmp_path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def open_files(tmp_path: Path) -> int:
    """How many files of the store this process has open; sockets of other tests come and go."""
    links = (str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
    return sum(link.startswith(str(tmp_path)) for link in links)


def incoming(tmp_path: Path) -> list[Path]:
    return [*(tmp_path / "de" / ".incoming").iterdir()]


def test_objects_are_plain_files(store: FilesystemStore, tmp_path: Path) -> None:
    """An object is a file under its key that sha256sum checks without us."""
    stored = store.put(KEY, [BODY])
    sums = tmp_path / "sums"
    sums.write_text(f"{stored.sha256}  {KEY}\n")
    checked = subprocess.run(["sha256sum", "-c", sums], cwd=tmp_path / "de", capture_output=True, text=True, check=True)
    assert checked.stdout == f"{KEY}: OK\n"


def test_nobody_else_can_read(store: FilesystemStore, tmp_path: Path) -> None:
    """Files are 0600 and folders 0700, whatever the umask would allow."""
    before = os.umask(0)
    try:
        store.put(KEY, [BODY])
    finally:
        os.umask(before)
    for path in [tmp_path / "de", *(tmp_path / "de").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_opening_touches_nothing(store: FilesystemStore, tmp_path: Path) -> None:
    """A store that was opened, proven, listed and swept, but not written to, has made no folder."""
    store.prove()
    assert [*store.list()] == []
    assert store.sweep() == 0
    assert not (tmp_path / "de").exists()


def test_everything_is_on_disk_before_it_is_promised(
    store: FilesystemStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is forced to disk before it gets its name, its folder after, and the folder of each new folder too."""
    done: list[tuple[str, str]] = []
    fsync, link = os.fsync, os.link

    def spy_fsync(fd: int) -> None:
        fsync(fd)
        done.append(("fsync", str(Path(f"/proc/self/fd/{fd}").readlink().relative_to(tmp_path))))

    def spy_link(source: str, target: str) -> None:
        link(source, target)
        done.append(("link", str(Path(target).relative_to(tmp_path))))

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "link", spy_link)
    store.put("a/b/c", [BODY])
    kinds = [name for name, path in done if ".incoming/" in path or name == "link"]
    assert kinds == ["fsync", "link"]
    assert done[-1] == ("fsync", "de/a/b")
    assert {path for name, path in done if name == "fsync"} >= {".", "de", "de/a", "de/a/b"}
    done.clear()
    store.put("a/b/c", [BODY])
    assert ("fsync", "de/a/b") in done, "whoever wrote it first may have died before this"


def test_folders_of_another_process_are_forced_to_disk(
    store: FilesystemStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that somebody else has just made is not trusted to be on disk."""
    (tmp_path / "de" / "a" / "b").mkdir(parents=True)
    synced: list[str] = []
    fsync = os.fsync

    def spy(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", spy)
    store.put("a/b/c", [BODY])
    assert {str(tmp_path / "de"), str(tmp_path / "de" / "a")} <= {*synced}


LIES: dict[str, Callable[[int], object]] = {
    "other": lambda fd: os.pwrite(fd, b"?", 7),
    "longer": lambda fd: os.pwrite(fd, b"?", len(BODY)),
    "much longer": lambda fd: os.ftruncate(fd, 1 << 22),
    "shorter": lambda fd: os.ftruncate(fd, len(BODY) - 1),
    "empty": lambda fd: os.ftruncate(fd, 0),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_disk_is_caught(
    store: FilesystemStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    """Bytes that come back from the disk otherwise than they were written, or more or less, are never published."""
    fsync = os.fsync

    def lying(fd: int) -> None:
        fsync(fd)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            LIES[lie](fd)

    monkeypatch.setattr(os, "fsync", lying)
    with pytest.raises(IntegrityError, match=KEY):
        store.put(KEY, [BODY], digest=Digest.of(BODY))
    assert [*store.list()] == []
    assert incoming(tmp_path) == []


def test_damage_is_measured(store: FilesystemStore, tmp_path: Path) -> None:
    """A file that rots is measured as it is, and a put of the right bytes does not take it for good."""
    stored = store.put(KEY, [BODY])
    path = tmp_path / "de" / KEY
    path.write_bytes(b"?" + BODY[1:])
    measured = store.stat(KEY)
    assert measured
    assert measured.sha256 != stored.sha256
    with pytest.raises(Conflict):
        store.put(KEY, [BODY])


FAILING: list[tuple[int, type[OffloaderError]]] = [
    (errno.ENOSPC, StoreFull),
    (errno.EDQUOT, StoreFull),
    (errno.EIO, Transient),
    (errno.EMFILE, Transient),
    (errno.EROFS, Permanent),
    (errno.EACCES, Permanent),
    (errno.EXDEV, Permanent),
]


@pytest.mark.parametrize(("code", "expected"), FAILING, ids=lambda value: errno.errorcode.get(value, None))
@pytest.mark.parametrize("call", ["open", "write", "fsync", "pread", "mkdir", "link"])
def test_errors_of_the_system_are_translated(
    store: FilesystemStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    code: int,
    expected: type[OffloaderError],
) -> None:
    """Whichever system call fails, the error says what to do, names the key and no path, and nothing is left."""
    store.put("documents/other", [BODY])

    def failing(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code), str(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(expected) as caught:
            store.put(KEY, [BODY])
    assert type(caught.value) is expected
    assert KEY in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert [*store.list()] == [("documents/other", len(BODY))]
    assert incoming(tmp_path) == []
    assert store.put(KEY, [BODY]).size == len(BODY)


@pytest.mark.parametrize("call", ["stat", "read", "delete", "list", "sweep"])
def test_every_method_translates(store: FilesystemStore, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """An input/output error is Transient in every method."""
    store.put(KEY, [BODY])

    def failing(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    acts: dict[str, Callable[[], object]] = {
        "stat": lambda: store.stat(KEY),
        "read": lambda: [*store.read(KEY)],
        "delete": lambda: store.delete(KEY),
        "list": lambda: [*store.list()],
        "sweep": store.sweep,
    }
    with monkeypatch.context() as patch:
        for name in ("pread", "unlink", "scandir", "listdir"):
            patch.setattr(os, name, failing)
        with pytest.raises(Transient):
            acts[call]()


def test_a_stream_that_fails_in_the_middle_is_translated(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error after the first chunk of a read is an error of ours too."""
    store.put(KEY, [BODY * 50])
    stream = store.read(KEY)
    next(stream)

    def failing(*_: Any) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", failing)
        with pytest.raises(Transient):
            next(stream)


def test_short_writes_are_completed(store: FilesystemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that writes less than asked is asked again."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:1000]))
    assert store.put(KEY, [BODY], digest=Digest.of(BODY)).size == len(BODY)


def test_an_object_cannot_be_a_folder(store: FilesystemStore) -> None:
    """A key below an object, and a key that is a folder of objects, are refused for good, and nothing is lost."""
    store.put("a/b", [BODY])
    for key in ("a/b/c", "a"):
        with pytest.raises(Permanent):
            store.put(key, [BODY])
        assert store.stat(key) is None
        store.delete(key)
    assert [*store.list()] == [("a/b", len(BODY))]


def test_symbolic_links_lead_nowhere(store: FilesystemStore, tmp_path: Path) -> None:
    """A symbolic link in an object's place is neither read nor listed."""
    store.put("a/b", [BODY])
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "de" / "a" / "c").symlink_to(tmp_path / "secret")
    with pytest.raises(Permanent):
        store.read("a/c")
    assert [*store.list()] == [("a/b", len(BODY))]


def test_the_work_folder_is_no_key(store: FilesystemStore) -> None:
    """Keys below `.incoming` are refused: a sweep would take such objects away."""
    with pytest.raises(Permanent):
        store.put(".incoming/x", [BODY])


def test_a_folder_that_was_taken_away_is_made_again(
    store: FilesystemStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When somebody removes a folder that was known, put says Transient, and the next try makes it again."""
    store.put("a/b", [BODY])
    store.delete("a/b")
    (tmp_path / "de" / "a").rmdir()
    with pytest.raises(Transient):
        store.put("a/b", [BODY])
    assert store.put("a/b", [BODY]).size == len(BODY)


def test_a_dropped_stream_closes_its_file(store: FilesystemStore, tmp_path: Path) -> None:
    """A stream that nobody reads to the end keeps no file open once it is dropped."""
    store.put(KEY, [BODY])
    before = open_files(tmp_path)
    streams: list[Iterator[bytes]] = [store.read(KEY) for _ in range(5)]
    assert open_files(tmp_path) == before + 5
    next(streams[0])
    streams.clear()
    gc.collect()
    assert open_files(tmp_path) == before


def test_no_file_stays_open(store: FilesystemStore, tmp_path: Path) -> None:
    """Put, stat, read, list, delete and sweep leave no file open, failures included."""
    store.put("warm", [BODY])
    before = open_files(tmp_path)
    store.put(KEY, [BODY])
    for size in (1, None):
        with pytest.raises((IntegrityError, Conflict)):
            store.put(KEY, [b"other"], size=size)
    store.stat(KEY)
    assert b"".join(store.read(KEY)) == BODY
    assert len([*store.list()]) == 2
    store.sweep()
    store.delete(KEY)
    assert open_files(tmp_path) == before


def test_memory_does_not_depend_on_size(store: FilesystemStore) -> None:
    """Writing, measuring and reading 64 MiB takes a few chunks of memory."""
    chunk = bytes(1 << 18)
    tracemalloc.start()
    try:
        store.put(KEY, (chunk for _ in range(256)))
        store.stat(KEY)
        assert sum(len(each) for each in store.read(KEY)) == 1 << 26
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_a_killed_write_is_swept(store: FilesystemStore, tmp_path: Path) -> None:
    """A sweep leaves a write alone while its process lives, and removes it once the process was killed."""
    process = writer(tmp_path, MID_BODY)
    try:
        assert len(incoming(tmp_path)) == 1
        assert store.sweep() == 0
        assert len(incoming(tmp_path)) == 1
    finally:
        end(process)
    assert [*store.list()] == []
    assert store.sweep() == 1
    assert incoming(tmp_path) == []


def test_a_write_killed_after_publication_is_whole(store: FilesystemStore, tmp_path: Path) -> None:
    """When the process dies right after publication, the object stands whole, and a sweep takes only the other name."""
    end(writer(tmp_path, AFTER_LINK))
    assert store.sweep() == 1
    assert b"".join(store.read("whole")) == b"x" * 100_000
    assert store.put("whole", [b"x" * 100_000]).size == 100_000


def test_two_processes_share_a_store(store: FilesystemStore, tmp_path: Path) -> None:
    """Of two processes that write the same keys at once, equal bytes succeed in both, and different ones in one."""
    processes = [writer(tmp_path, RACE, name) for name in ("one", "two")]
    for process in processes:
        assert process.stdin
        process.stdin.write("g")
        process.stdin.flush()
    answers = [process.communicate()[0].split() for process in processes]
    for number in range(60):
        said = sorted(answer[number] for answer in answers)
        assert said == ([str(number), "Conflict"] if number % 2 else [str(number)] * 2)
        body = b"".join(store.read(f"race/{number}"))
        assert body in ((b"one" * 5000, b"two" * 5000) if number % 2 else (b"same" * 5000,))
    assert store.sweep() == 0


def test_a_sweep_that_takes_a_new_file_is_outrun(
    store: FilesystemStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep between the making of a file and its lock takes the file away; the write uses another one."""
    flock = fcntl.flock
    swept: list[int] = []

    def late(fd: int, operation: int) -> None:
        if not swept:
            swept.append(0)
            swept.append(store.sweep())
        flock(fd, operation)

    store.put("warm", [BODY])
    monkeypatch.setattr(fcntl, "flock", late)
    assert store.put(KEY, [BODY]).size == len(BODY)
    assert swept == [0, 1]
    assert b"".join(store.read(KEY)) == BODY


def failing(code: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(("offset", "length"), [(-1, None), (0, -1)])
def test_negative_ranges_are_refused(store: FilesystemStore, offset: int, length: int | None) -> None:
    """A range that starts before the object, or has less than nothing, is an error."""
    store.put(KEY, [BODY])
    with pytest.raises(Permanent):
        store.read(KEY, offset=offset, length=length)


@pytest.mark.parametrize("prefix", ["/", "../", "a/../b", "a//", "a b", "../../etc"])
def test_prefixes_lead_nowhere_else(store: FilesystemStore, prefix: str) -> None:
    """A prefix that could leave the store's folder is refused."""
    with pytest.raises(Permanent):
        store.list(prefix)


def test_a_listing_passes_over_what_vanishes(store: FilesystemStore) -> None:
    """An object that is deleted while it is being listed is left out."""
    for key in "abc":
        store.put(key, [b"x"])
    listing = store.list()
    assert next(listing) == ("a", 1)
    store.delete("b")
    assert [*listing] == [("c", 1)]


@pytest.mark.parametrize("call", ["stat", "read"])
def test_a_folder_without_access_is_translated(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """An object that may not be opened is an error, never taken for missing."""
    store.put(KEY, [BODY])
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing(errno.EACCES))
        with pytest.raises(Permanent):
            getattr(store, call)(KEY)


def test_a_file_system_without_locks_is_translated(
    store: FilesystemStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the new file cannot be locked, the put fails and leaves nothing."""
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", failing(errno.ENOLCK))
        with pytest.raises(Transient):
            store.put(KEY, [BODY])
    assert incoming(tmp_path) == []


def test_a_name_that_is_taken_is_passed_over(store: FilesystemStore, tmp_path: Path) -> None:
    """A leftover with the name that a new file would get does not stop the write."""
    store.put("first", [BODY])
    taken = tmp_path / "de" / ".incoming" / f"{os.getpid()}-{id(store):x}-{next(store._numbers) + 1}"
    taken.write_bytes(b"leftover")
    assert store.put(KEY, [BODY]).size == len(BODY)
    assert taken.read_bytes() == b"leftover"


@pytest.mark.parametrize("times", [1, 10**6])
def test_a_race_with_a_deletion_is_run_again(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """A name that was taken and is free again is tried again; if that never ends, the error is Transient."""
    link, left = os.link, [times]

    def racing(*names: str) -> None:
        if left[0]:
            left[0] -= 1
            raise FileExistsError
        link(*names)

    monkeypatch.setattr(os, "link", racing)
    if times == 1:
        assert store.put(KEY, [BODY]).size == len(BODY)
    else:
        with pytest.raises(Transient):
            store.put(KEY, [BODY])


def test_the_memory_for_folders_is_bounded(store: FilesystemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many folders there are, only so many are remembered."""
    monkeypatch.setattr(module, "_REMEMBERED", 4)
    for number in range(20):
        store.put(f"folder/{number}/x", [b"x"])
    assert len(store._durable) <= 6
    assert len([*store.list()]) == 20


@pytest.mark.parametrize("moment", ["open", "lock"])
def test_a_sweep_passes_over_writes_that_finish(
    store: FilesystemStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A file that its writer takes away while the sweep looks at it is not counted."""
    store.put(KEY, [BODY])
    finished = tmp_path / "de" / ".incoming" / "1-2-3"
    flock, listdir = fcntl.flock, os.listdir
    finished.write_bytes(b"x")

    def late_lock(fd: int, operation: int) -> None:
        finished.unlink(missing_ok=True)
        flock(fd, operation)

    def late_open(folder: str) -> list[str]:
        names = listdir(folder)
        finished.unlink()
        return names

    if moment == "lock":
        monkeypatch.setattr(fcntl, "flock", late_lock)
    else:
        monkeypatch.setattr(os, "listdir", late_open)
    assert store.sweep() == 0
