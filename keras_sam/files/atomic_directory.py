"""`replace_directory`: writes a directory so that a crash leaves the old or the new one whole."""

import contextlib
import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2  # linux/fs.h


@contextlib.contextmanager
def replace_directory(directory: Path) -> Iterator[Path]:
    """Gives an empty directory to write to, which takes the place of `directory` at the end.

    The new directory lies beside its place until all of it is on the disk. If the body raises,
    it is removed and `directory` stays as it was.
    """
    directory = Path(os.path.abspath(directory))
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        yield fresh
        _apply_umask(fresh)
        for file in fresh.iterdir():
            _sync(file)
        _sync(fresh)
        _put_in_place(fresh, directory)
        _sync(directory.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)  # the unfinished one, or the old one


def _put_in_place(fresh: Path, directory: Path) -> None:
    """Renames `fresh` to `directory`; an old one takes the name of `fresh`."""
    if not directory.exists():
        os.rename(fresh, directory)
        return
    if _exchange(fresh, directory):
        return
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
    os.rename(directory, old)  # onto an empty directory
    try:
        os.rename(fresh, directory)
    except BaseException:
        os.rename(old, directory)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swaps two directories in one step where the system can (Linux)."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    if rename(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(second))


def _apply_umask(directory: Path) -> None:
    """`mkdtemp` makes a directory for its owner alone; gives it the usual permissions."""
    umask = os.umask(0)
    os.umask(umask)
    directory.chmod(0o777 & ~umask)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
