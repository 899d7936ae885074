"""`check_storage`: check that arrays of an HDF5 file are plain floats, stored once and whole."""

import itertools
import math
import zlib
from collections.abc import Iterator, Mapping

import h5py

from keras_sam.errors import CheckpointError

# Filters in the order of writing: none, or gzip, which h5py may put after a shuffle.
PIPELINES = (
    (),
    (h5py.h5z.FILTER_DEFLATE,),
    (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE),
)
SMALL_CHUNK = 2**20  # bytes; up to this size, a chunk may exceed its dataset
MAX_CHUNKS = 2**16


def check_storage(datasets: Mapping[str, h5py.Dataset], *, source: str) -> None:
    """Check types and storage of datasets before any is read.

    Args:
        datasets: All datasets of one file, by path.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If a dataset is not of plain floats, has another filter than gzip, lies
            outside the file, overlaps another one, or is stored in another size than declared.
    """
    spans = []
    for path, dataset in datasets.items():
        where = f"{path} of '{source}'"
        _check_type(where, dataset)
        spans += [(*span, path) for span in _spans(where, dataset)]
    spans.sort()
    for (_, end, path), (start, _, other) in itertools.pairwise(spans):
        if start < end:
            raise CheckpointError(f"{path} and {other} of '{source}' overlap in the file")
    if spans and spans[-1][1] > next(iter(datasets.values())).file.id.get_filesize():
        raise CheckpointError(f"{spans[-1][2]} of '{source}' lies beyond the end of the file")


def check_inflation(where: str, dataset: h5py.Dataset) -> None:
    """Check that each gzip chunk inflates to its declared size. HDF5 has no limit of its own.

    Args:
        where: Name of the dataset, for error messages.
        dataset: Dataset that passed `check_storage`.

    Raises:
        CheckpointError: If a chunk is damaged or inflates to another size.
    """
    if not _filters(dataset):
        return
    size = _chunk_bytes(dataset)
    for chunk in _chunks(dataset):
        _, stored = dataset.id.read_direct_chunk(chunk.chunk_offset)
        inflater = zlib.decompressobj()
        try:
            length = len(inflater.decompress(stored, size + 1))
        except zlib.error as error:
            raise CheckpointError(f"{where} is damaged: {error}") from error
        if length != size or not inflater.eof:
            raise CheckpointError(f"{where} has a chunk that does not inflate to its {size} bytes")


def _check_type(where: str, dataset: h5py.Dataset) -> None:
    dtype = dataset.dtype
    is_bfloat16 = dtype.kind == "V" and dtype.itemsize == 2 and not dtype.fields
    if not is_bfloat16 and (dtype.kind != "f" or dtype.itemsize not in (2, 4, 8)):
        raise CheckpointError(f"{where} has the type {dtype}, expected floats")
    if dataset.is_virtual or dataset.external:
        raise CheckpointError(f"{where} lies outside the file")
    if _filters(dataset) not in PIPELINES:
        raise CheckpointError(
            f"{where} has a filter other than gzip; save it again without compression"
        )


def _spans(where: str, dataset: h5py.Dataset) -> Iterator[tuple[int, int]]:
    """Yield the first byte and the end of each part of the file that contains the dataset."""
    layout = dataset.id.get_create_plist().get_layout()
    if layout == h5py.h5d.CHUNKED:
        yield from _chunk_spans(where, dataset)
        return
    declared, stored = _declared_bytes(dataset), dataset.id.get_storage_size()
    if stored != declared:
        raise CheckpointError(f"{where} declares {declared} bytes, but the file contains {stored}")
    if layout == h5py.h5d.CONTIGUOUS:  # a compact dataset lies in its own header
        start = dataset.id.get_offset()
        yield start, start + stored


def _chunk_spans(where: str, dataset: h5py.Dataset) -> Iterator[tuple[int, int]]:
    size = _chunk_bytes(dataset)
    if size > max(_declared_bytes(dataset), SMALL_CHUNK):
        raise CheckpointError(f"{where} is stored in chunks larger than itself")
    expected = math.prod(map(_divide_up, dataset.shape, dataset.chunks))
    count = dataset.id.get_num_chunks()
    if count != expected or count > MAX_CHUNKS:
        raise CheckpointError(
            f"{where} is stored in {count} of {expected} chunks; expected all, and at most "
            f"{MAX_CHUNKS}"
        )
    # Deflate adds less than a thousandth to what it cannot compress.
    largest = size + size // 1000 + 64 if _filters(dataset) else size
    smallest = 1 if _filters(dataset) else size
    for chunk in _chunks(dataset):
        if chunk.filter_mask:
            raise CheckpointError(f"{where} has a chunk that skips a filter")
        if not smallest <= chunk.size <= largest:
            raise CheckpointError(
                f"{where} has a chunk of {size} bytes that is stored in {chunk.size} bytes"
            )
        yield chunk.byte_offset, chunk.byte_offset + chunk.size


def _chunks(dataset: h5py.Dataset) -> list[h5py.h5d.StoreInfo]:
    chunks: list[h5py.h5d.StoreInfo] = []
    dataset.id.chunk_iter(chunks.append)
    return chunks


def _filters(dataset: h5py.Dataset) -> tuple[int, ...]:
    creation = dataset.id.get_create_plist()
    return tuple(creation.get_filter(index)[0] for index in range(creation.get_nfilters()))


def _declared_bytes(dataset: h5py.Dataset) -> int:
    return math.prod(dataset.shape) * dataset.dtype.itemsize


def _chunk_bytes(dataset: h5py.Dataset) -> int:
    return math.prod(dataset.chunks) * dataset.dtype.itemsize


def _divide_up(length: int, part: int) -> int:
    return -(-length // part)
