"""`run_ray`: a batch on a Ray cluster, which may be this machine alone."""

import logging
import math
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.ray_stages import (
    RayProcessor,
    decode_images,
    from_rows,
    to_rows,
    write_results,
)
from keras_sam.batch.staged_part import StagedPart
from keras_sam.batch.worker_process import thread_environment

MOST_BLOCKS = 4096  # of the list of images; Ray keeps account of each
OF_A_SMALL_STAGE = 0.5  # processors, of those that a task asks Ray for


@dataclass(frozen=True)
class RayOptions:
    """How the work is shared out on a cluster; the masks do not depend on it.

    Attributes:
        address: of a cluster, as `ray.init` takes it; None starts Ray on this machine.
        workers: actors, each with a model of its own.
        threads: of each actor, which are also the processors that it asks Ray for.
        gpus: that each actor asks Ray for.
        backend: of Keras in the actors; None leaves it to `KERAS_BACKEND` here.
        images_per_call: that an actor is given at a time.
        images_per_part: that are written together; what is not written yet is lost in a crash.
    """

    address: str | None = None
    workers: int = 1
    threads: int = 1
    gpus: float = 0.0
    backend: str | None = None
    images_per_call: int = 4
    images_per_part: int = 64

    def __post_init__(self) -> None:
        for name in ("workers", "threads", "images_per_call", "images_per_part"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.gpus < 0:
            raise ValueError(f"gpus must be 0 or more, got {self.gpus}")

    def environment(self) -> dict[str, str]:
        """Variables of the actors."""
        backend = self.backend or os.environ.get("KERAS_BACKEND")
        return {
            "OMP_WAIT_POLICY": "PASSIVE",
            **thread_environment(self.threads),
            **({"KERAS_BACKEND": backend} if backend else {}),
        }


def run_ray(
    images: Sequence[BatchImage], settings: BatchSettings, options: RayOptions, *, staging: Path
) -> Generator[StagedPart]:
    """Yields parts as they are written into `staging`, which all machines must see.

    Reading, decoding, the model and writing are stages that overlap. An actor that dies is
    started anew, and what it had in hand is done again.

    Args:
        images: to be done.
        settings: of the batch.
        options: of the cluster.
        staging: a folder beside the table, new for each run.

    Raises:
        ImportError: without Ray.
        RuntimeError: if the cluster or the model fails.
    """
    ray = require_ray()
    if Path(settings.preset).exists():  # a directory of this one's, which an actor's is not
        settings = replace(settings, preset=os.path.abspath(settings.preset))
    with _connected(ray, options):
        stages = _stages(ray, images, settings, options, staging)
        try:
            for rows in stages.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield from from_rows(rows)
        except ray.exceptions.RayError as error:
            raise RuntimeError(f"Ray could not finish: {_cause(error)}") from error


def require_ray() -> Any:
    """The module `ray` with its data part, or an error that says how to get it."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError("this runner needs Ray; run: pip install 'keras-sam[ray]'") from error
    return ray


def _stages(
    ray: Any,
    images: Sequence[BatchImage],
    settings: BatchSettings,
    options: RayOptions,
    staging: Path,
) -> Any:
    """The stages as a lazy dataset of rows of `StagedPart`."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    rows = to_rows(list(images))
    step = options.images_per_call
    size = max(step, math.ceil(rows.num_rows / MOST_BLOCKS))
    blocks = [rows.slice(start, size) for start in range(0, rows.num_rows, size)]
    decoded = ray.data.from_arrow(blocks).map_batches(
        decode_images,
        batch_format="pyarrow",
        batch_size=step,
        fn_kwargs={"max_pixels": settings.max_pixels},
        # Stages that ask for the same would become one, and decoding would wait for the model.
        num_cpus=OF_A_SMALL_STAGE,
    )
    masked = decoded.map_batches(
        RayProcessor,
        batch_format="pyarrow",
        batch_size=step,
        fn_constructor_kwargs={"settings": settings, "environment": options.environment()},
        compute=ray.data.ActorPoolStrategy(size=options.workers),
        num_cpus=options.threads,
        num_gpus=options.gpus,
    )
    return masked.map_batches(
        write_results,
        batch_format="pyarrow",
        batch_size=options.images_per_part,
        fn_kwargs={"staging": str(staging)},
        num_cpus=OF_A_SMALL_STAGE,
    )


@contextmanager
def _connected(ray: Any, options: RayOptions) -> Iterator[None]:
    """A connection to the cluster; one that was there before is used, and left."""
    if ray.is_initialized():
        yield
        return
    if options.address is None:
        # Actors keep their processors, so that one more is needed for the other stages.
        processors = max(os.cpu_count() or 1, options.workers * options.threads + 1)
        arguments: dict[str, Any] = {
            "address": "local",  # else one that runs here already would be taken
            "num_cpus": processors,
            "include_dashboard": False,
        }
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its errors reach us as such
    else:
        arguments = {"address": options.address}
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **arguments)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise RuntimeError(f"Ray could not be reached: {error}") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def _cause(error: BaseException) -> str:
    """The last line that tells what went wrong on another machine."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
