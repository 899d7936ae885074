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
from keras_sam.batch.worker_environment import worker_environment

MAX_BLOCKS = 4096  # of the list of images; Ray has a cost per block
SMALL_STAGE_CPUS = 0.5  # requested by each task that decodes or writes


@dataclass(frozen=True)
class RayOptions:
    """Use of a Ray cluster. The masks do not depend on it.

    Attributes:
        address: Address of a cluster, see `ray.init`. `None` starts Ray on this machine.
        workers: Number of actors, each with its own model.
        threads_per_worker: Number of compute threads of each actor, and of CPUs that it requests.
        gpus_per_worker: Number of GPUs that each actor requests.
        backend: Keras backend of the actors. Defaults to this machine's `KERAS_BACKEND`.
        images_per_call: Maximum number of images that an actor receives at a time.
        images_per_part: Maximum number of images per part of the table. Results that are not
            written are lost in a crash.

    Raises:
        ValueError: If a number is out of its range.
    """

    address: str | None = None
    workers: int = 1
    threads_per_worker: int = 1
    gpus_per_worker: float = 0.0
    backend: str | None = None
    images_per_call: int = 4
    images_per_part: int = 64

    def __post_init__(self) -> None:
        for name in ("workers", "threads_per_worker", "images_per_call", "images_per_part"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.gpus_per_worker < 0:
            raise ValueError(f"gpus_per_worker must be 0 or more, got {self.gpus_per_worker}")

    def environment(self) -> dict[str, str]:
        """Return the environment variables of the actors."""
        backend = self.backend or os.environ.get("KERAS_BACKEND")
        return worker_environment(threads=self.threads_per_worker, backend=backend)


def run_ray(
    images: Sequence[BatchImage], settings: BatchSettings, options: RayOptions, *, staging: Path
) -> Generator[StagedPart]:
    """Process images on a cluster, and yield parts as they are written.

    Reading, decoding, the model and writing are stages that overlap. Ray replaces an actor that
    dies and processes its images again.

    Args:
        images: Images to process.
        settings: Options of the batch.
        options: Use of the cluster.
        staging: Folder for the parts, used by this run only. All machines must have access to it.

    Yields:
        Parts in `staging`.

    Raises:
        ImportError: If Ray is not installed.
        RuntimeError: If the cluster or the model fails.
    """
    ray = require_ray()
    if Path(settings.preset).exists():  # actors have another working directory
        settings = replace(settings, preset=os.path.abspath(settings.preset))
    with _connected(ray, options):
        dataset = _build_stages(ray, images, settings, options, staging)
        try:
            for rows in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield from from_rows(rows)
        except ray.exceptions.RayError as error:
            raise RuntimeError(f"Ray failed: {_last_line(error)}") from error


def require_ray() -> Any:
    """Import `ray` and `ray.data`.

    Raises:
        ImportError: If Ray is not installed. The message has the command to install it.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError("this runner needs Ray; run: pip install 'keras-sam[ray]'") from error
    return ray


def _build_stages(
    ray: Any,
    images: Sequence[BatchImage],
    settings: BatchSettings,
    options: RayOptions,
    staging: Path,
) -> Any:
    """Return the stages as a lazy dataset of rows of `StagedPart`."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    rows = to_rows(list(images))
    batch_size = options.images_per_call
    block_size = max(batch_size, math.ceil(rows.num_rows / MAX_BLOCKS))
    blocks = [rows.slice(start, block_size) for start in range(0, rows.num_rows, block_size)]
    decoded = ray.data.from_arrow(blocks).map_batches(
        decode_images,
        batch_format="pyarrow",
        batch_size=batch_size,
        fn_kwargs={"max_pixels": settings.max_pixels},
        # Ray fuses stages with equal resources. Decoding would then wait for the model.
        num_cpus=SMALL_STAGE_CPUS,
    )
    processed = decoded.map_batches(
        RayProcessor,
        batch_format="pyarrow",
        batch_size=batch_size,
        fn_constructor_kwargs={"settings": settings},
        compute=ray.data.ActorPoolStrategy(size=options.workers),
        num_cpus=options.threads_per_worker,
        num_gpus=options.gpus_per_worker,
        runtime_env={"env_vars": options.environment()},
    )
    return processed.map_batches(
        write_results,
        batch_format="pyarrow",
        batch_size=options.images_per_part,
        fn_kwargs={"staging": str(staging)},
        num_cpus=SMALL_STAGE_CPUS,
    )


@contextmanager
def _connected(ray: Any, options: RayOptions) -> Iterator[None]:
    """Connect to the cluster. An existing connection of this process is used and stays open."""
    if ray.is_initialized():
        yield
        return
    if options.address is None:
        # Actors keep their CPUs, so the other stages need one more.
        cpus = max(os.cpu_count() or 1, options.workers * options.threads_per_worker + 1)
        arguments: dict[str, Any] = {
            "address": "local",  # without it, Ray would join a cluster that runs on this machine
            "num_cpus": cpus,
            "include_dashboard": False,
        }
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # errors are raised anyway
    else:
        arguments = {"address": options.address}
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **arguments)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise RuntimeError(f"cannot connect to Ray: {error}") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def _last_line(error: BaseException) -> str:
    """Return the line of a remote traceback that has the message."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
