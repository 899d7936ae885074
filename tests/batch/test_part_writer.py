import pytest

from keras_sam.batch.part_writer import PartLimits, PartWriter
from keras_sam.batch.table_parts import finished_images, part_files
from tests.batch.sample_results import good_result


@pytest.fixture
def write(tmp_path):
    """A function that adds each result on its own, and returns the number of parts."""

    def write(names, limits, *, flush=False):
        writer = PartWriter(tmp_path, limits)
        for name in names:
            writer.add([good_result(name)])
        if flush:
            writer.flush()
        return len(part_files(tmp_path))

    return write


def test_part_is_written_when_it_is_large(write):
    size = good_result("a").nbytes
    assert write("abcde", PartLimits(max_bytes=2 * size)) == 2


def test_part_is_written_after_some_time(write):
    assert write("abc", PartLimits(max_seconds=0)) == 3


def test_flush_writes_the_rest_once(write, tmp_path):
    assert write("ab", PartLimits()) == 0
    assert write("ab", PartLimits(), flush=True) == 1
    assert finished_images(tmp_path) == {"a", "b"}


def test_flush_without_results_writes_nothing(write):
    assert write("", PartLimits(), flush=True) == 0


def test_two_writers_of_a_folder_use_different_names(write):
    assert [write("a", PartLimits(max_bytes=1)) for _ in range(3)] == [1, 2, 3]


def test_failed_part_is_not_written_again(tmp_path):
    writer = PartWriter(tmp_path / "missing", PartLimits())
    writer.add([good_result("a")])
    with pytest.raises(FileNotFoundError):
        writer.flush()
    (tmp_path / "missing").mkdir()
    writer.flush()
    assert part_files(tmp_path / "missing") == []
