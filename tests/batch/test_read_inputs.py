import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.read_inputs import read_inputs


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    for name in ("b.JPG", "a.png", "sub/c.webp", "sub/notes.txt", "README"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def ids(source, **kwargs):
    return [image.id for image in read_inputs(source, **kwargs)]


def test_directory_is_searched_for_images(folder):
    assert ids(folder) == ["a.png", "b.JPG", "sub/c.webp"]
    assert ids(str(folder)) == ids(folder)
    assert read_inputs(folder)[2].path == str(folder / "sub" / "c.webp")


def test_ids_do_not_depend_on_the_location_of_the_directory(folder, tmp_path):
    before = ids(folder)
    folder.rename(tmp_path / "moved")
    assert ids(tmp_path / "moved") == before


def test_pattern_has_ids_relative_to_its_fixed_part(folder):
    assert ids(f"{folder}/*.png") == ["a.png"]
    assert ids(f"{folder}/**/*.webp") == ["sub/c.webp"]
    assert ids(f"{folder}/sub/*") == ["c.webp", "notes.txt"]


def test_directory_with_a_bracket_in_its_name_is_not_a_pattern(folder, tmp_path):
    folder.rename(tmp_path / "photos [old]")
    assert ids(tmp_path / "photos [old]") == ["a.png", "b.JPG", "sub/c.webp"]


def test_text_file_has_a_path_per_line(folder):
    (folder / "list.txt").write_text("a.png\n\n#1.png\n/else/where.png\n")
    images = read_inputs(folder / "list.txt")
    assert [image.id for image in images] == ["a.png", "#1.png", "/else/where.png"]
    assert [image.path for image in images][::2] == [str(folder / "a.png"), "/else/where.png"]


def test_csv_has_paths_ids_and_prompts(folder):
    points = json.dumps([[[1, 2]]])
    (folder / "list.csv").write_text(
        f'path,image_id,points,note\na.png,first,"{points}",x\nb.JPG,,,\n', encoding="utf-8-sig"
    )
    first, second = read_inputs(folder / "list.csv")
    assert (first.id, first.path, first.points) == ("first", str(folder / "a.png"), points)
    assert (second.id, second.points, second.boxes) == ("b.JPG", None, None)
    assert ids(folder / "list.csv", id_column="path") == ["a.png", "b.JPG"]


def test_parquet_file_has_nested_prompts(folder):
    table = pa.table(
        {"path": ["a.png", "b.JPG"], "number": [1, 2], "boxes": [[[0.0, 1.0, 2.0, 3.0]], None]}
    )
    pq.write_table(table, folder / "list.parquet")
    first, second = read_inputs(folder / "list.parquet", id_column="number")
    assert (first.id, first.boxes) == ("1", [[0.0, 1.0, 2.0, 3.0]])
    assert (second.id, second.boxes) == ("2", None)


def test_list_has_paths_and_images(folder):
    image = BatchImage("mine", "a.png", boxes=[[0, 0, 1, 1]])
    assert read_inputs([folder / "a.png", "b.png", image]) == [
        BatchImage(str(folder / "a.png"), str(folder / "a.png")),
        BatchImage("b.png", "b.png"),
        image,
    ]


def test_single_image_is_a_batch_of_one(folder):
    assert ids(folder / "a.png") == ["a.png"]


def test_id_is_valid_unicode(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.png")).touch()
    assert ids(tmp_path) == ["\\xff.png"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", "\n", "there are no images in"),
        ("twice.txt", "a.png\na.png\n", "image ids must be unique, got 'a.png' twice"),
        ("other.csv", "file\na.png\n", r"other\.csv has no column path, only file"),
        ("gap.csv", "path,note\n,x\n", r"row 1 of gap\.csv has no path"),
        ("list.parquet", "PAR1", r"list\.parquet is a damaged Parquet file"),
        ("list.json", "[]", r"must be a \.txt, \.csv or \.parquet, got list\.json"),
    ],
)
def test_unusable_list_raises(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_inputs(tmp_path / name)


def test_missing_id_raises(folder):
    (folder / "list.csv").write_text("path,key\na.png,\n")
    with pytest.raises(ValueError, match=r"row 1 of list\.csv has no key"):
        read_inputs(folder / "list.csv", id_column="key")
    with pytest.raises(ValueError, match="has no column other"):
        read_inputs(folder / "list.csv", id_column="other")


def test_missing_source_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="no directory, file or pattern"):
        read_inputs(tmp_path / "nothing")
    with pytest.raises(ValueError, match="there are no images in"):
        read_inputs(tmp_path)
