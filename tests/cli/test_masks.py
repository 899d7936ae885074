"""Everything on photographs: files in each format, resume, and what cannot be read."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_sam.geometry import read_coco, read_label_map
from keras_sam.geometry.write_masks import MASK_FORMS

# Random weights rate their masks anyhow: all pass.
ALL = ("--points-per-side", "2", "--pred-iou-thresh", "0", "--stability-score-thresh", "0")


@pytest.fixture
def folder(tmp_path, photograph):
    folder = tmp_path / "photographs"
    folder.mkdir()
    with Image.open(photograph) as picture:
        picture.save(folder / "disc.png")
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "flipped.jpg")
    (folder / "notes.txt").write_text("not a photograph")
    return folder


def masks(run, images, output, preset, *options):
    return run("masks", images, "--output", output, "--preset", preset, *ALL, *options)


def test_a_folder_and_its_pictures(run, folder, tmp_path, tiny_preset):
    out = tmp_path / "out"
    result = masks(run, folder, out, tiny_preset, "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["images"]
    assert [row["masks"] > 0 for row in rows] == [True, True]
    assert {file.name for file in out.iterdir()} == {
        *("disc_masks.json", "disc_overlay.png", "flipped_masks.json", "flipped_overlay.png")
    }
    dataset = read_coco(out / "disc_masks.json")
    assert len(dataset.images[0].annotations) == rows[0]["masks"]
    assert dataset.images[0].size == (40, 60)
    assert dataset.images[0].file_name == "disc.png"


def test_it_goes_on_where_it_stopped(run, folder, tmp_path, tiny_preset):
    out = tmp_path / "out"
    masks(run, folder / "disc.png", out, tiny_preset, "--no-picture")
    before = (out / "disc_masks.json").stat().st_mtime_ns
    result = masks(run, folder, out, tiny_preset, "--no-picture", "--json")
    found = json.loads(result.stdout)
    assert (len(found["images"]), found["done_before"]) == (1, 1)
    assert (out / "disc_masks.json").stat().st_mtime_ns == before
    masks(run, folder, out, tiny_preset, "--no-picture", "--overwrite")
    assert (out / "disc_masks.json").stat().st_mtime_ns > before


@pytest.mark.parametrize("form", sorted(set(MASK_FORMS) - {"coco"}))
def test_each_format(run, folder, tmp_path, tiny_preset, form):
    out = tmp_path / "out"
    (folder / "disc.pgw").write_text("1\n0\n0\n-1\n100\n200\n")  # a world file, for geojson
    pattern = folder / "d*.png"
    options = ("--no-picture", "--format", form)
    result = masks(run, pattern, out, tiny_preset, *options)
    assert result.exit_code == 0, result.stderr
    assert any(out.iterdir())
    again = masks(run, pattern, out, tiny_preset, *options)
    assert "1 done before" in again.stdout
    if form == "label-map":
        assert np.shape(read_label_map(out / "disc_masks.png")) == (40, 60)


def test_one_bad_photograph_does_not_stop_the_others(run, folder, tmp_path, tiny_preset):
    (folder / "cut.png").write_bytes((folder / "disc.png").read_bytes()[:60])
    result = masks(run, folder, tmp_path / "out", tiny_preset, "--no-picture")
    assert result.exit_code == 0
    assert "cut.png" in result.stderr
    assert "disc_masks.json" in result.stdout
    alone = masks(run, folder / "cut.png", tmp_path / "out", tiny_preset)
    assert alone.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere/*.png",), "found no photograph at nowhere/*.png"),
        (("disc.png", "--format", "tiff"), "--format must be one of coco"),
        (("disc.png", "--format", "npz", "--tolerance", "1"), "--tolerance is of outlines"),
        (("disc.png", "--format", "geojson"), "geojson needs a georeference"),
    ],
)
def test_mistakes(run, arguments, message, photograph, monkeypatch):
    monkeypatch.chdir(photograph.parent)
    result = run("masks", *arguments)
    assert result.exit_code != 0
    assert message in " ".join(result.stderr.replace("│", "").split())


def test_two_photographs_of_one_name(run, folder, tiny_preset, tmp_path):
    Image.new("RGB", (8, 8)).save(folder / "disc.jpg")
    result = masks(run, folder, tmp_path / "out", tiny_preset)
    assert result.exit_code == 1
    assert "would write the same files" in result.stderr
