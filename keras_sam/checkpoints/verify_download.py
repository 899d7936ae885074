"""`verify_download`: whether a file in the cache of Hugging Face is the one that was announced."""

import hashlib
import re
from pathlib import Path

from keras_sam.checkpoints.checkpoint import CheckpointError

CHUNK = 2**20  # bytes


def verify_download(file: Path, *, source: str) -> None:
    """Compares a fresh download with its hash, after which the cache names it.

    A large file is named by its SHA-256, a small one by the SHA-1 that git gives it. Where the
    cache has no such names, nothing is compared.

    Args:
        file: as the hub's client gave it, perhaps a link to the named file.
        source: what was downloaded, for messages.

    Raises:
        CheckpointError: if the file is another one; it is removed.
    """
    blob = file.resolve()
    if re.fullmatch("[0-9a-f]{64}", blob.name):
        digest = hashlib.sha256()
    elif re.fullmatch("[0-9a-f]{40}", blob.name):
        digest = hashlib.sha1(b"blob %d\0" % blob.stat().st_size, usedforsecurity=False)
    else:
        return
    with blob.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != blob.name:
        blob.unlink()
        file.unlink(missing_ok=True)
        raise CheckpointError(
            f"the download of {file.name} of '{source}' was damaged on its way and is removed; "
            "try again"
        )
