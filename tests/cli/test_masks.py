"""Automatic masks: files in each format, resuming, and images that cannot be read."""

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from keras_sam.annotations.coco import read_coco
from keras_sam.annotations.label_map import read_label_map
from keras_sam.annotations.registry import MASK_FORMATS, MaskFormat

# Masks of random weights have arbitrary scores: all pass.
ALL = ("--points-per-side", "2", "--pred-iou-thresh", "0", "--stability-score-thresh", "0")


@pytest.fixture
def folder(tmp_path, disc_image):
    folder = tmp_path / "images"
    folder.mkdir()
    with Image.open(disc_image) as image:
        image.save(folder / "disc.png")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "flipped.jpg")
    (folder / "notes.txt").write_text("not an image")
    return folder


def masks(run, images, output, preset, *options):
    return run("masks", images, "--output", output, "--preset", preset, *ALL, *options)


def test_folder_of_images(run, folder, tmp_path, tiny_preset):
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


def test_stopped_run_resumes(run, folder, tmp_path, tiny_preset):
    out = tmp_path / "out"
    masks(run, folder / "disc.png", out, tiny_preset, "--no-overlay")
    before = (out / "disc_masks.json").stat().st_mtime_ns
    result = masks(run, folder, out, tiny_preset, "--no-overlay", "--json")
    report = json.loads(result.stdout)
    assert (len(report["images"]), report["done_before"]) == (1, 1)
    assert (out / "disc_masks.json").stat().st_mtime_ns == before
    masks(run, folder, out, tiny_preset, "--no-overlay", "--overwrite")
    assert (out / "disc_masks.json").stat().st_mtime_ns > before


@pytest.mark.parametrize("format", sorted(set(MASK_FORMATS) - {"coco"}))
def test_format_is_written_and_resumed(run, folder, tmp_path, tiny_preset, format):
    out = tmp_path / "out"
    (folder / "disc.pgw").write_text("1\n0\n0\n-1\n100\n200\n")  # a world file, for geojson
    pattern = folder / "d*.png"
    options = ("--no-overlay", "--format", format)
    result = masks(run, pattern, out, tiny_preset, *options)
    assert result.exit_code == 0, result.stderr
    assert any(out.iterdir())
    again = masks(run, pattern, out, tiny_preset, *options)
    assert "1 done before" in again.stdout
    if format == "label-map":
        assert np.shape(read_label_map(out / "disc_masks.png")) == (40, 60)


def test_new_format_needs_one_row_only(run, folder, tmp_path, tiny_preset, monkeypatch):
    def write_count(image, path, options):
        path.write_text(f"{image.file_name} {len(image.records)} {options.polygon_tolerance}")

    row = MaskFormat("toy", "number of masks", write_count, "{stem}.toy", has_polygons=True)
    monkeypatch.setitem(MASK_FORMATS, "toy", row)
    out = tmp_path / "out"
    options = ("--no-overlay", "--format", "toy", "--polygon-tolerance", "0.5")
    result = masks(run, folder / "disc.png", out, tiny_preset, *options, "--json")
    assert result.exit_code == 0, result.stderr
    count = json.loads(result.stdout)["images"][0]["masks"]
    assert (out / "disc.toy").read_text() == f"disc.png {count} 0.5"
    assert "1 done before" in masks(run, folder / "disc.png", out, tiny_preset, *options).stdout
    assert "toy" in run("masks", "--help").stdout


def test_help_lists_every_format(run):
    lines = [line.split(maxsplit=1) for line in run("masks", "--help").stdout.splitlines()]
    for row in MASK_FORMATS.values():
        assert [row.name, row.description] in lines


def test_polygon_tolerance_makes_files_smaller(run, folder, tmp_path, tiny_preset):
    sizes = []
    for tolerance in ("0", "1"):
        out = tmp_path / tolerance
        options = ("--no-overlay", "--format", "labelme", "--polygon-tolerance", tolerance)
        result = masks(run, folder / "disc.png", out, tiny_preset, *options)
        assert result.exit_code == 0, result.stderr
        sizes.append((out / "disc_labelme.json").stat().st_size)
    assert sizes[1] < sizes[0]


def test_tiles_of_a_georeferenced_image(run, tmp_path, tiny_preset):
    """Map coordinates of tiled masks are those of the masks in the whole image."""
    path, out = tmp_path / "aerial.tif", tmp_path / "out"
    pixels = np.random.default_rng(0).integers(0, 256, (3, 60, 100), dtype=np.uint8)
    transform = Affine(0.5, 0, 500_000.25, 0, -0.5, 4_600_000.75)
    options = {"count": 3, "dtype": "uint8", "crs": "EPSG:32633", "transform": transform}
    with rasterio.open(path, "w", "GTiff", 100, 60, **options) as file:
        file.write(pixels)
    tiles = ("--tile-size", "48", "--overlap", "16")
    result = masks(run, path, out, tiny_preset, "--format", "geojson", *tiles, "--json")
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)["images"]
    assert row["masks"] > 1
    features = json.loads((out / "aerial_masks.geojson").read_text())
    assert features["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    result = masks(run, path, out, tiny_preset, *tiles)
    assert result.exit_code == 0, result.stderr
    dataset = read_coco(out / "aerial_masks.json")
    assert dataset.images[0].size == (60, 100)
    for feature, annotation in zip(
        features["features"], dataset.images[0].annotations, strict=True
    ):
        y, x = np.nonzero(annotation.mask())
        rings = feature["geometry"]["coordinates"]
        if feature["geometry"]["type"] == "MultiPolygon":
            rings = [ring for part in rings for ring in part]
        corners = np.concatenate(rings)
        np.testing.assert_array_equal(
            [*corners.min(axis=0), *corners.max(axis=0)],
            [*(transform @ (x.min(), y.max() + 1)), *(transform @ (x.max() + 1, y.min()))],
        )
    assert (out / "aerial_overlay.png").exists()


def test_tiles_of_image_files(run, folder, tmp_path, tiny_preset):
    result = masks(
        run, folder, tmp_path / "out", tiny_preset, "--tile-size", "32", "--overlap", "8"
    )
    assert result.exit_code == 0, result.stderr
    for name in ("disc", "flipped"):
        dataset = read_coco(tmp_path / "out" / f"{name}_masks.json")
        assert dataset.images[0].size == (40, 60)
        assert dataset.images[0].annotations


def test_unreadable_image_does_not_stop_the_others(run, folder, tmp_path, tiny_preset):
    (folder / "cut.png").write_bytes((folder / "disc.png").read_bytes()[:60])
    result = masks(run, folder, tmp_path / "out", tiny_preset, "--no-overlay")
    assert result.exit_code == 0
    assert "cut.png" in result.stderr
    assert "disc_masks.json" in result.stdout
    alone = masks(run, folder / "cut.png", tmp_path / "out", tiny_preset)
    assert alone.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere/*.png",), "found no image at nowhere/*.png"),
        (("disc.png", "--format", "tiff"), "format must be one of coco"),
        (("disc.png", "--format", "npz", "--polygon-tolerance", "1"), "npz, which has no polygons"),
        (("disc.png", "--overlap", "8"), "--overlap needs --tile-size"),
        (("disc.png", "--tile-size", "9", "--overlap", "8"), "overlap must be at least 1"),
        (("disc.png", "--format", "geojson"), "geojson needs an image with a georeference"),
    ],
)
def test_invalid_arguments(run, arguments, message, disc_image, monkeypatch):
    monkeypatch.chdir(disc_image.parent)
    result = run("masks", *arguments)
    assert result.exit_code != 0
    assert message in " ".join(result.stderr.replace("│", "").split())


def test_images_with_the_same_stem_raise(run, folder, tiny_preset, tmp_path):
    Image.new("RGB", (8, 8)).save(folder / "disc.jpg")
    result = masks(run, folder, tmp_path / "out", tiny_preset)
    assert result.exit_code == 1
    assert "would have the same output files" in result.stderr


def test_region_and_auto(run, folder, tmp_path, tiny_preset):
    out = tmp_path / "out"
    options = ("--points-per-side", "auto", "--region", "10,5,40,35", "--format", "label-map")
    result = run(
        "masks", folder / "disc.png", "--output", out, "--preset", tiny_preset, *ALL[2:], *options
    )
    assert result.exit_code == 0, result.stderr
    labels = read_label_map(out / "disc_masks.png")
    assert labels.any()
    labels[5:35, 10:40] = 0
    assert not labels.any()


def test_region_cannot_be_combined_with_tiles(run, folder, tmp_path, tiny_preset):
    options = ("--region", "10,5,40,35", "--tile-size", "32")
    result = masks(run, folder, tmp_path / "out", tiny_preset, *options)
    assert result.exit_code != 0
    assert "cannot be combined with --tile-size" in " ".join(result.stderr.split())
