"""`open_hdf5_weights`: weights of HDF5 files, checked before any of them is read."""

import difflib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.hdf5_storage import check_inflation, check_storage

DEEPEST_GROUP = 32
LISTED_NAMES = 8

Shape = tuple[int, ...]


def open_hdf5_weights(
    files: Sequence[Path],
    *,
    paths: Mapping[str, str],
    shapes: Mapping[str, Shape],
    source: str,
) -> "HDF5Arrays":
    """Opens weights after checking that the files hold exactly what is expected.

    Args:
        files: one file, or the shards that hold the datasets together.
        paths: name of each weight to its path in the files.
        shapes: name of each weight to its shape.
        source: the preset, for messages.

    Raises:
        CheckpointError: if a file is damaged, a weight is missing, left over or misshapen, a
            type is not a float, or the file declares what it does not hold.
    """
    opened = [_open(file, source=source) for file in files]
    try:
        datasets: dict[str, h5py.Dataset] = {}
        limit = 100 * len(paths) + 10_000
        held = [dict(_walk(file, limit=limit, source=source)) for file in opened]
        for path, dataset in itertools.chain.from_iterable(each.items() for each in held):
            if path in datasets:
                raise CheckpointError(f"'{source}' holds the weight {path} twice")
            datasets[path] = dataset
        check_names({path: name for name, path in paths.items()}, datasets, source=source)
        _check_shapes({paths[name]: shapes[name] for name in paths}, datasets, source=source)
        for each in held:
            check_storage(each, source=source)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        for file in opened:
            file.close()
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"the weights of '{source}' are damaged: {error}") from error
    return HDF5Arrays({name: datasets[path] for name, path in paths.items()}, opened, source)


class HDF5Arrays(Mapping[str, np.ndarray]):
    """Checked datasets as arrays, each read when it is asked for."""

    def __init__(
        self, datasets: Mapping[str, h5py.Dataset], files: Sequence[h5py.File], source: str
    ) -> None:
        self._datasets = datasets
        self._files = files
        self._source = source

    def __getitem__(self, name: str) -> np.ndarray:
        dataset = self._datasets[name]
        try:
            check_inflation(f"{name} of '{self._source}'", dataset)
            array = dataset[()]
        except (OSError, RuntimeError) as error:
            raise CheckpointError(f"{name} of '{self._source}' is damaged: {error}") from error
        if array.dtype.kind == "V":
            array = array.view(ml_dtypes.bfloat16)
        return finite(array, name, source=self._source)

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)


def finite(array: np.ndarray, name: str, *, source: str) -> np.ndarray:
    """The array as given, if it holds neither NaN nor infinity."""
    if not np.isfinite(array.astype("float32") if array.dtype.itemsize == 2 else array).all():
        raise CheckpointError(f"{name} of '{source}' holds NaN or infinity")
    return array


def check_names(expected: Iterable[str], found: Iterable[str], *, source: str) -> None:
    """Raises a `CheckpointError` that lists missing and left-over names."""
    wanted, given = set(expected), set(found)
    missing, left_over = sorted(wanted - given), sorted(given - wanted)
    problems = []
    if missing:
        described = []
        for name in missing[:LISTED_NAMES]:
            nearest = difflib.get_close_matches(name, left_over[:1000], n=1, cutoff=0.8)
            described.append(f"{name} (nearest: {nearest[0]})" if nearest else name)
        problems.append("missing " + _listed(described, len(missing)))
    if left_over:
        problems.append("left over " + _listed(left_over[:LISTED_NAMES], len(left_over)))
    if problems:
        raise CheckpointError(
            f"the weights of '{source}' do not fit its config: {'; '.join(problems)}"
        )


def _listed(names: Sequence[str], count: int) -> str:
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return ", ".join(name[:200] for name in names) + more


def _open(file: Path, *, source: str) -> h5py.File:
    try:
        if file.stat().st_size == 0 or not h5py.is_hdf5(file):
            raise CheckpointError(f"{file.name} of '{source}' is not an HDF5 file")
        return h5py.File(file, "r")
    except FileNotFoundError as error:
        raise CheckpointError(f"'{source}' lacks its weights file {file.name}") from error
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{file.name} of '{source}' is truncated or damaged: {error}"
        ) from error


def _walk(file: h5py.File, *, limit: int, source: str) -> Iterator[tuple[str, h5py.Dataset]]:
    """All datasets, over hard links only, each object once."""
    seen: set[int] = set()
    pending: list[tuple[str, h5py.Group]] = [("", file)]
    while pending:
        prefix, group = pending.pop()
        for key in group:
            path = f"{prefix}{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise CheckpointError(f"{path} of '{source}' is a link to elsewhere")
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise CheckpointError(f"{path} of '{source}' is an object with two names")
            seen.add(address)
            if len(seen) > limit or path.count("/") > DEEPEST_GROUP:
                raise CheckpointError(f"'{source}' holds far more than the weights of its model")
            if isinstance(item, h5py.Dataset):
                yield path, item
            elif isinstance(item, h5py.Group):
                pending.append((f"{path}/", item))
            else:
                raise CheckpointError(f"{path} of '{source}' is neither a group nor an array")


def _check_shapes(
    expected: Mapping[str, Shape], datasets: Mapping[str, h5py.Dataset], *, source: str
) -> None:
    wrong = [
        f"{path} has shape {datasets[path].shape}, expected {shape}"
        for path, shape in expected.items()
        if datasets[path].shape != shape
    ]
    if wrong:
        raise CheckpointError(
            f"the weights of '{source}' do not fit its config: "
            + _listed(wrong[:LISTED_NAMES], len(wrong))
        )
