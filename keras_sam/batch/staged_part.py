"""`StagedPart`: a part of a table that a machine of a cluster has written.

A task of a cluster may run twice, or outlive its run. Its part is therefore written to a staging
folder. Only the process that has locked the table moves parts into it.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.table_parts import sync_directory, write_part


@dataclass(frozen=True)
class StagedPart:
    """A part in the staging folder of a table.

    Attributes:
        path: Path of the file.
        images: Number of status rows.
        errors: Number of status rows with an error.
        masks: Number of mask rows.
        model_hashes: Hashes of the models that predicted the masks.
    """

    path: str
    images: int
    errors: int
    masks: int
    model_hashes: tuple[str, ...]

    def move_to(self, directory: Path) -> None:
        """Move the part into the folder of its table."""
        path = Path(self.path)
        path.replace(directory / path.name)
        sync_directory(directory)


def write_staged_part(staging: Path, results: Sequence[ImageResult]) -> StagedPart:
    """Write a part under a name that is never used again.

    Args:
        staging: Staging folder of the run.
        results: Results to write.
    """
    path = staging / f"part-{staging.name}-{secrets.token_hex(8)}.parquet"
    write_part(path, results)
    return StagedPart(
        path=str(path),
        images=len(results),
        errors=sum(result.error is not None for result in results),
        masks=sum(len(result.masks) for result in results),
        model_hashes=tuple(sorted({result.provenance.model_hash for result in results})),
    )
