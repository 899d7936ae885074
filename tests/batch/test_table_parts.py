import pyarrow.parquet as pq
import pytest

from keras_sam.batch.table_parts import (
    drop_error_rows,
    finished_images,
    part_files,
    remove_temporary_files,
    write_part,
)
from tests.batch.sample_results import failed_result, good_result


@pytest.fixture
def part(tmp_path):
    path = tmp_path / "part-x-000000.parquet"
    write_part(path, [good_result("good"), failed_result("bad")])
    return path


def test_part_is_complete_and_alone(part):
    assert list(part.parent.iterdir()) == [part] == part_files(part.parent)
    assert pq.read_table(part).num_rows == 4


def test_masks_and_status_rows_have_separate_row_groups(part):
    file = pq.ParquetFile(part)
    kinds = [file.read_row_group(index)["kind"].to_pylist() for index in range(2)]
    assert kinds == [["mask", "mask"], ["image", "image"]]
    assert file.schema_arrow.metadata[b"keras_sam.batch.schema"] == b"1"


def test_finished_images_are_those_with_a_status_row(part):
    write_part(part.with_name("part-y-000000.parquet"), [good_result("other", num_masks=0)])
    assert finished_images(part.parent) == {"good", "bad", "other"}


def test_damaged_part_raises(part):
    data = part.read_bytes()
    part.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"part-x-000000\.parquet is damaged"):
        finished_images(part.parent)


def test_drop_error_rows_keeps_everything_else(part):
    before = pq.read_table(part).to_pylist()
    for _ in range(2):  # the second call finds no error
        drop_error_rows(part.parent)
        assert pq.read_table(part).to_pylist() == before[:3]
        assert finished_images(part.parent) == {"good"}
    kinds = [pq.ParquetFile(part).read_row_group(index)["kind"][0].as_py() for index in range(2)]
    assert kinds == ["mask", "image"]


def test_drop_error_rows_removes_a_part_of_errors_alone(tmp_path):
    write_part(tmp_path / "part-x-000000.parquet", [failed_result("bad")])
    drop_error_rows(tmp_path)
    assert part_files(tmp_path) == []


def test_remove_temporary_files_keeps_files_of_others(part):
    temporary, other = part.with_name(".0123456789abcdef.part"), part.with_name("notes.txt")
    temporary.write_bytes(b"PAR1")
    other.write_text("notes")
    remove_temporary_files(part.parent)
    assert set(part.parent.iterdir()) == {part, other}
