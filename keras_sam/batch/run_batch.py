"""`run_batch`: the masks of many images in one table. A stopped run can be resumed."""

import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.manifest import Manifest, ManifestGuard
from keras_sam.batch.part_writer import PartWriter
from keras_sam.batch.read_inputs import read_inputs
from keras_sam.batch.run_local import LocalOptions, run_local
from keras_sam.batch.run_ray import RayOptions, run_ray
from keras_sam.batch.staged_part import StagedPart
from keras_sam.batch.table import require_pyarrow
from keras_sam.batch.table_parts import drop_error_rows, finished_images, remove_temporary_files

try:
    import fcntl
except ImportError:  # Windows, where runs are not prevented from sharing a folder
    fcntl = None  # type: ignore[assignment]

# Readers of Parquet folders skip names with an underscore.
LOCK, LOGS, STAGING = "_lock", "_logs", "_staging"


@dataclass(frozen=True)
class BatchProgress:
    """Progress of a run.

    Attributes:
        completed: Number of images that this run has completed, including errors.
        total: Number of images of this run.
        errors: Number of completed images with an error.
        masks: Number of masks of the completed images.
    """

    completed: int
    total: int
    errors: int
    masks: int


@dataclass(frozen=True)
class BatchSummary:
    """Result of a run.

    Attributes:
        output: Folder of the table.
        images: Number of images in the source.
        completed_before: Number of them that the table contained before this run.
        completed: Number of images that this run has completed, including errors.
        errors: Number of images of this run with an error.
        masks: Number of masks of this run.
        seconds: Duration of this run.
        is_complete: True if the table contains all images.
    """

    output: Path
    images: int
    completed_before: int
    completed: int
    errors: int
    masks: int
    seconds: float
    is_complete: bool


def run_batch(
    source: str | Path | Iterable[str | Path | BatchImage],
    output: str | Path,
    settings: BatchSettings | None = None,
    *,
    options: LocalOptions | RayOptions | None = None,
    id_column: str | None = None,
    retry_errors: bool = False,
    progress: Callable[[BatchProgress], Any] | None = None,
    stop: threading.Event | None = None,
) -> BatchSummary:
    """Predict the masks of many images, and write them to a folder of Parquet files.

    A run that was stopped, or crashed, is resumed by the same call: it processes the images that
    the table does not contain yet.

    Args:
        source: Images, see `read_inputs`.
        output: Folder of the table. Created if it does not exist.
        settings: Model and options. Defaults to `BatchSettings()`.
        options: Use of this machine, or of a Ray cluster. Defaults to `LocalOptions()`.
        id_column: See `read_inputs`.
        retry_errors: If True, images whose status is an error are processed again.
        progress: Function called with a `BatchProgress`, several times a second.
        stop: Event that stops the run. Completed images are written first.

    Raises:
        FileNotFoundError: If the source does not exist.
        ImportError: If pyarrow is not installed, or Ray with `RayOptions`.
        ValueError: If the source has no images, the table was created with other settings, or
            another run is writing to it.
        RuntimeError: If the model cannot be loaded, or Ray fails.
    """
    require_pyarrow()
    settings, options = settings or BatchSettings(), options or LocalOptions()
    images = read_inputs(source, id_column=id_column)
    directory = Path(output).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        remove_temporary_files(directory)
        guard = ManifestGuard(directory, Manifest(_describe(source), settings.to_dict()))
        if retry_errors:
            drop_error_rows(directory)
        finished = finished_images(directory)
        missing = [
            replace(image, path=os.path.abspath(image.path))  # workers have other directories
            for image in images
            if image.id not in finished
        ]
        run = _Run(directory, guard, total=len(missing), progress=progress, stop=stop)
        if not missing:
            return run.summary(images=len(images))
        if isinstance(options, RayOptions):
            with _staging(directory) as staging:
                run.move_parts(run_ray(missing, settings, options, staging=staging))
        else:
            results = run_local(missing, settings, options, logs=directory / LOGS)
            run.write_results(results, PartWriter(directory, options.part_limits))
        return run.summary(images=len(images))


class _Run:
    """Adds results to a table and counts them.

    Args:
        directory: Folder of the table.
        guard: Check of the models.
        total: Number of images.
        progress: Function called after each batch of results, or `None`.
        stop: Event that stops the run, or `None`.
    """

    def __init__(
        self,
        directory: Path,
        guard: ManifestGuard,
        *,
        total: int,
        progress: Callable[[BatchProgress], Any] | None,
        stop: threading.Event | None,
    ) -> None:
        self._directory = directory
        self._guard = guard
        self._report = progress
        self._stop = stop or threading.Event()
        self._progress = BatchProgress(0, total, 0, 0)
        self._started = time.monotonic()

    def write_results(self, results: Generator[list[ImageResult]], writer: PartWriter) -> None:
        """Write results until their end or the stop event. After an exception, they are kept."""
        try:
            with closing(results):
                for batch in results:
                    for result in batch:
                        self._guard.check_model(result.provenance.model_hash)
                    writer.add(batch)
                    errors = sum(result.error is not None for result in batch)
                    self._count(len(batch), errors, sum(len(result.masks) for result in batch))
                    if self._stop.is_set():
                        return
        finally:
            writer.flush()

    def move_parts(self, parts: Generator[StagedPart]) -> None:
        """Move parts into the table until their end or the stop event."""
        with closing(parts):
            for part in parts:
                for model_hash in part.model_hashes:
                    self._guard.check_model(model_hash)
                part.move_to(self._directory)
                self._count(part.images, part.errors, part.masks)
                if self._stop.is_set():
                    return

    def summary(self, *, images: int) -> BatchSummary:
        """Return the result of the run. `images` is the number of images in the source."""
        progress = self._progress
        return BatchSummary(
            output=self._directory,
            images=images,
            completed_before=images - progress.total,
            completed=progress.completed,
            errors=progress.errors,
            masks=progress.masks,
            seconds=time.monotonic() - self._started,
            is_complete=progress.completed == progress.total,
        )

    def _count(self, images: int, errors: int, masks: int) -> None:
        self._progress = BatchProgress(
            completed=self._progress.completed + images,
            total=self._progress.total,
            errors=self._progress.errors + errors,
            masks=self._progress.masks + masks,
        )
        if self._report is not None:
            self._report(self._progress)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Lock a folder for this process. The lock also ends with the process.

    Raises:
        ValueError: If another run has locked it.
    """
    with (directory / LOCK).open("a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(f"another run is writing to {directory}") from error
        yield


@contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    """Create a new staging folder, and remove it afterwards with those of killed runs."""
    shutil.rmtree(directory / STAGING, ignore_errors=True)
    staging = directory / STAGING / secrets.token_hex(8)
    staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(directory / STAGING, ignore_errors=True)


def _describe(source: Any) -> str:
    return os.fspath(source) if isinstance(source, str | os.PathLike) else "a list"
