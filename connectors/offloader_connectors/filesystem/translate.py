"""Errors of the operating system, said in the words of `offloader.errors`."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from offloader.errors import OffloaderError, Permanent, StoreFull, Transient

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_PASSING = frozenset(
    {
        errno.EIO,
        errno.EAGAIN,
        errno.EINTR,
        errno.EBUSY,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOLCK,
        errno.ETIMEDOUT,
        errno.ESTALE,
    }
)
_REMEDY = {
    errno.ENOENT: "make the store's folder, or mount its disk",
    errno.EACCES: "give the offloader's user write access to the store's folder",
    errno.EPERM: "the file system must allow hard links, and the offloader's user must own the store's folder",
    errno.EROFS: "the file system is mounted read-only: remount it for writing",
    errno.ENAMETOOLONG: "the key is too long for this file system",
    errno.EFBIG: "the object is larger than this file system, or the process's limit, allows",
    errno.EXDEV: "the folder below the store's path lies on another file system: a store is one file system",
    errno.ENOTDIR: "a part of the key is itself an object, and cannot be a folder",
    errno.EISDIR: "the key is a folder of other objects",
}


def translate(error: OSError, store: str, action: str, subject: str) -> OffloaderError:
    """Say what the engine should do about an error of the operating system.

    Full disk or quota: StoreFull. Passing troubles, EIO among them: Transient. All else:
    Permanent, with a remedy where one is known. The message names the store and the key, not the path.
    """
    code = error.errno or 0
    cause = error.strerror or type(error).__name__
    message = f"store {store}: cannot {action} {subject}: {cause}"
    if code in _FULL:
        return StoreFull(f"{message}; nothing of it is left behind: make room or raise the quota, then run again")
    if code in _PASSING:
        return Transient(message)
    remedy = _REMEDY.get(code)
    return Permanent(f"{message}; {remedy}" if remedy else message)


@contextmanager
def translated(store: str, action: str, subject: str) -> Iterator[None]:
    """Translate every OSError raised in the block."""
    try:
        yield
    except OSError as error:
        raise translate(error, store, action, subject) from error
