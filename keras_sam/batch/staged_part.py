"""`StagedPart`: a part that some machine wrote, and that does not count yet.

Whoever writes parts may be killed and started anew, or outlive the run that it worked for. So a
part is written aside, and only the one process that holds the table moves it into the table.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.table import sync_directory, write_part


@dataclass(frozen=True)
class StagedPart:
    """A part beside the table.

    Attributes:
        path: of the file.
        images: how many status rows it has.
        errors: how many of them are errors.
        masks: how many mask rows it has.
        revisions: of the models that made it.
    """

    path: str
    images: int
    errors: int
    masks: int
    revisions: tuple[str, ...]

    def move_to(self, directory: Path) -> None:
        """Makes it a part of the table."""
        path = Path(self.path)
        path.replace(directory / path.name)
        sync_directory(directory)


def write_staged_part(staging: Path, results: Sequence[ImageResult]) -> StagedPart:
    """Writes the rows of some images into a folder beside the table; a name never comes twice."""
    path = staging / f"part-{staging.name}-{secrets.token_hex(8)}.parquet"
    write_part(path, results)
    return StagedPart(
        path=str(path),
        images=len(results),
        errors=sum(result.is_error for result in results),
        masks=sum(len(result.masks) for result in results),
        revisions=tuple(sorted({result.facts.get("revision", "") for result in results} - {""})),
    )
