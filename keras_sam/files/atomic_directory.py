"""`replace_directory`: writes a directory as a whole or not at all."""

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
    """Write a directory as a whole or not at all.

    The files are written to a temporary directory next to it, which then replaces it. If the body
    of the `with` statement raises, or after a crash, the old directory is unchanged.

    Args:
        directory: Path of the directory. Missing parents are created.

    Yields:
        An empty temporary directory for the new files. Subdirectories are not flushed to the disk.

    Raises:
        OSError: If the directory cannot be written.
    """
    directory = Path(os.path.abspath(directory))
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        yield temporary
        _apply_umask(temporary)
        for file in temporary.iterdir():
            _sync(file)
        _sync(temporary)
        _put_in_place(temporary, directory)
        _sync(directory.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # the unfinished or the old directory


def _put_in_place(temporary: Path, directory: Path) -> None:
    """Rename `temporary` to `directory`. An old directory gets the name `temporary`."""
    if not directory.exists():
        os.rename(temporary, directory)
        return
    if _exchange(temporary, directory):
        return
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
    os.rename(directory, old)  # replaces the empty directory
    try:
        os.rename(temporary, directory)
    except BaseException:
        os.rename(old, directory)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two directories in one step. Return False if the system cannot; Linux can."""
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
    """Give a directory the usual permissions. `mkdtemp` grants access to its owner alone."""
    umask = os.umask(0)
    os.umask(umask)
    directory.chmod(0o777 & ~umask)


def _sync(path: Path) -> None:
    """Flush a file or a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
