"""`run_batch`: masks of many images into one table, from where it was left."""

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
from keras_sam.batch.directory_lock import directory_lock
from keras_sam.batch.finished_images import drop_error_rows, finished_images
from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.local_runner import LocalOptions, run_local
from keras_sam.batch.manifest import Manifest
from keras_sam.batch.part_writer import PartLimits, PartWriter, remove_leftovers
from keras_sam.batch.ray_runner import RayOptions, run_ray
from keras_sam.batch.read_inputs import read_inputs
from keras_sam.batch.staged_part import StagedPart
from keras_sam.batch.table import require_pyarrow

LOGS, STAGING = "_logs", "_staging"


@dataclass(frozen=True)
class BatchProgress:
    """How far a run is.

    Attributes:
        done: images of this run so far.
        total: images of this run in all.
        errors: how many of those done are errors.
        masks: of this run so far.
    """

    done: int
    total: int
    errors: int
    masks: int


@dataclass(frozen=True)
class BatchSummary:
    """What a run did.

    Attributes:
        output: the table.
        images: that the input names.
        done_before: of these, in the table when the run began.
        done: by this run, errors included.
        errors: of this run.
        masks: of this run.
        seconds: that it took.
        is_complete: whether all images are in the table now.
    """

    output: Path
    images: int
    done_before: int
    done: int
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
    limits: PartLimits | None = None,
    progress: Callable[[BatchProgress], Any] | None = None,
    stop: threading.Event | None = None,
) -> BatchSummary:
    """Finds the masks of many images and writes them into a folder of Parquet files, one table.

    Started again after whatever stopped it, it goes on with the images that the table lacks.

    Args:
        source: what `read_inputs` takes.
        output: the folder of the table; made if it is missing.
        settings: of model and masks.
        options: how the work is shared out, on this machine or by Ray.
        id_column: as `read_inputs`.
        retry_errors: does the images again that the table has as errors.
        limits: of the table's parts; with Ray its options tell.
        progress: called with a `BatchProgress`, several times a second.
        stop: when it is set, the run writes what is done, and ends.

    Raises:
        FileNotFoundError: if there is no such source.
        ImportError: without pyarrow, or Ray if that is asked for.
        ValueError: for a source without images, an output begun with other settings, and one
            that another run is writing to.
        RuntimeError: if the model cannot be loaded, or Ray fails.
    """
    require_pyarrow()
    settings, options = settings or BatchSettings(), options or LocalOptions()
    images = read_inputs(source, id_column=id_column)
    directory = Path(output).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    with directory_lock(directory):
        remove_leftovers(directory)
        keeper = ManifestGuard(directory, Manifest(_name(source), settings.to_dict()))
        if retry_errors:
            drop_error_rows(directory)
        finished = finished_images(directory)
        missing = [
            replace(image, path=os.path.abspath(image.path))  # a cluster has its own directories
            for image in images
            if image.id not in finished
        ]
        run = _Run(directory, keeper, total=len(missing), progress=progress)
        stop = stop or threading.Event()
        if missing and isinstance(options, RayOptions):
            with _staging(directory) as staging:
                run.take_parts(run_ray(missing, settings, options, staging=staging), stop)
        elif missing and isinstance(options, LocalOptions):
            results = run_local(missing, settings, options, logs=directory / LOGS)
            run.take_results(results, PartWriter(directory, limits or PartLimits()), stop)
        return run.summary(images=len(images), done_before=len(images) - len(missing))


@contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    """A new folder for parts that do not count yet; those of killed runs go."""
    shutil.rmtree(directory / STAGING, ignore_errors=True)
    staging = directory / STAGING / secrets.token_hex(8)
    staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(directory / STAGING, ignore_errors=True)


class ManifestGuard:
    """Sees to it that all of a table is made with the same settings and weights."""

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self._directory = directory
        self._manifest = manifest
        self._has_revision = False
        begun = Manifest.load(directory)
        if begun is not None:
            begun.check(replace(manifest, revision=begun.revision))
            self._manifest, self._has_revision = begun, bool(begun.revision)
        else:
            manifest.save(directory)

    def check(self, revision: str) -> None:
        """Refuses what other weights made."""
        if not self._has_revision:
            self._manifest = replace(self._manifest, revision=revision)
            self._manifest.save(self._directory)
            self._has_revision = True
        self._manifest.check(replace(self._manifest, revision=revision))


class _Run:
    """Takes what is done as it comes, and counts it."""

    def __init__(
        self,
        directory: Path,
        keeper: ManifestGuard,
        *,
        total: int,
        progress: Callable[[BatchProgress], Any] | None,
    ) -> None:
        self._directory = directory
        self._keeper = keeper
        self._progress = progress
        self._state = BatchProgress(0, total, 0, 0)
        self._started = time.monotonic()

    def take_results(
        self,
        results: Generator[list[ImageResult]],
        writer: PartWriter,
        stop: threading.Event,
    ) -> None:
        """Writes all results, until they end or `stop` is set; what came is kept at any error."""
        try:
            with closing(results):
                for some in results:
                    for result in some:
                        self._keeper.check(result.facts.get("revision", ""))
                    masks = sum(len(result.masks) for result in some)
                    self._count(len(some), sum(result.is_error for result in some), masks)
                    writer.add(some)
                    if stop.is_set():
                        return
        finally:
            writer.flush()

    def take_parts(self, parts: Generator[StagedPart], stop: threading.Event) -> None:
        """Moves all parts into the table, until they end or `stop` is set."""
        with closing(parts):
            for part in parts:
                for revision in part.revisions:
                    self._keeper.check(revision)
                part.move_to(self._directory)
                self._count(part.images, part.errors, part.masks)
                if stop.is_set():
                    return

    def _count(self, done: int, errors: int, masks: int) -> None:
        state = self._state
        self._state = replace(
            state, done=state.done + done, errors=state.errors + errors, masks=state.masks + masks
        )
        if self._progress is not None:
            self._progress(self._state)

    def summary(self, *, images: int, done_before: int) -> BatchSummary:
        state = self._state
        return BatchSummary(
            output=self._directory,
            images=images,
            done_before=done_before,
            done=state.done,
            errors=state.errors,
            masks=state.masks,
            seconds=time.monotonic() - self._started,
            is_complete=state.done == state.total,
        )


def _name(source: Any) -> str:
    return os.fspath(source) if isinstance(source, str | os.PathLike) else "a list"
