"""`keras-sam masks`: automatic mask generation for one image or many."""

import glob
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from keras_sam.cli.backend import choose_backend
from keras_sam.cli.console import (
    DEFAULT_PRESET,
    BackendOption,
    JsonOption,
    PresetOption,
    print_json,
    progress_bar,
    report_user_errors,
)
from keras_sam.cli.prompts import BoxPrompt, parse_box, parse_points_per_side

if TYPE_CHECKING:
    from keras_sam.annotations.mask_record import MaskRecord
    from keras_sam.annotations.registry import MaskFormat

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
MAX_OVERLAY_PIXELS = 50_000_000  # larger images that are read in tiles get no overlay


@dataclass(frozen=True)
class ImageJob:
    """Settings for the output of each image.

    Attributes:
        output: Folder for masks and overlays.
        mask_format: Format of the masks.
        polygon_tolerance: Maximum distance in pixels from a dropped corner to the polygon.
        overlay: If True, the masks are drawn on each image.
        is_tiled: If True, the image is read in tiles.
    """

    output: Path
    mask_format: "MaskFormat"
    polygon_tolerance: float
    overlay: bool
    is_tiled: bool


class MasksCommand(TyperCommand):
    """`keras-sam masks`, whose help lists the formats without importing them at startup."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the table of formats below the options."""
        from keras_sam.annotations.registry import MASK_FORMATS

        with formatter.section("Formats"):
            formatter.write_dl([(row.name, row.description) for row in MASK_FORMATS.values()])


@report_user_errors
def masks_command(
    images: Annotated[str, typer.Argument(help="Image, folder, or pattern like '*.jpg'.")],
    output: Annotated[Path, typer.Option("--output", help="Folder for masks and overlays.")] = Path(
        "masks"
    ),
    format: Annotated[str, typer.Option("--format", help="One of the formats below.")] = "coco",
    preset: PresetOption = DEFAULT_PRESET,
    points_per_side: Annotated[
        Any,
        typer.Option(
            "--points-per-side",
            help="Points along each side of the grid, or auto: 16, and finer points only near "
            "masks. Default: 32.",
            parser=parse_points_per_side,
            metavar="INTEGER|auto",
            show_default=False,
        ),
    ] = None,
    region: Annotated[
        Any,
        typer.Option(
            "--region",
            help="Process only this part of the image, in pixels.",
            parser=parse_box,
            metavar="X0,Y0,X1,Y1",
            show_default=False,
        ),
    ] = None,
    pred_iou_thresh: Annotated[
        float | None,
        typer.Option(
            "--pred-iou-thresh",
            help="Minimum predicted IoU of a mask, in [0, 1]. Default: the preset's.",
            show_default=False,
        ),
    ] = None,
    stability_score_thresh: Annotated[
        float | None,
        typer.Option(
            "--stability-score-thresh",
            help="Minimum stability score of a mask, in [0, 1]. Default: the preset's.",
            show_default=False,
        ),
    ] = None,
    crop_n_layers: Annotated[
        int | None,
        typer.Option(
            "--crop-n-layers",
            min=0,
            help="Number of layers of crops that are also processed. Default: 0.",
            show_default=False,
        ),
    ] = None,
    min_mask_region_area: Annotated[
        int | None,
        typer.Option(
            "--min-mask-region-area",
            min=0,
            help="Remove holes and islands with a smaller area, in pixels.",
            show_default=False,
        ),
    ] = None,
    tile_size: Annotated[
        int | None,
        typer.Option(
            "--tile-size",
            help="Process the image in tiles with sides of this many pixels. For images of any "
            "size.",
            show_default=False,
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option("--overlap", help="Minimum overlap of tiles, in pixels.", show_default=False),
    ] = None,
    polygon_tolerance: Annotated[
        float,
        typer.Option(
            "--polygon-tolerance",
            min=0.0,
            help="Simplify polygons by at most this distance in pixels. 0 is exact.",
        ),
    ] = 0.0,
    overlay: Annotated[
        bool, typer.Option("--overlay/--no-overlay", help="Draw the masks on each image.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Process images again that already have masks.")
    ] = False,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Generate all masks of one image or many.

    The masks of each image are written when it is complete. A stopped run resumes with the
    remaining images. Images that cannot be read are listed at the end.
    """
    mask_format = _find_format(format, polygon_tolerance)
    if overlap is not None and tile_size is None:
        raise typer.BadParameter("--overlap needs --tile-size")
    if region is not None and tile_size is not None:
        raise typer.BadParameter("--region cannot be combined with --tile-size")
    paths = _find_images(images)
    remaining = [path for path in paths if overwrite or not mask_format.is_done(output, path)]
    job = ImageJob(output, mask_format, polygon_tolerance, overlay, is_tiled=tile_size is not None)
    options = {
        "points_per_side": points_per_side,
        "pred_iou_thresh": pred_iou_thresh,
        "stability_score_thresh": stability_score_thresh,
        "crop_n_layers": crop_n_layers,
        "min_mask_region_area": min_mask_region_area,
    }
    rows: list[dict[str, Any]] = []
    if remaining:
        choose_backend(backend)
        tiles = {"tile_size": tile_size, "overlap": overlap}
        generate = _create_generator(preset, options, region, tiles)
        with progress_bar("images") as progress:
            for path in remaining:
                advance = partial(_advance, progress, len(rows), len(remaining))
                advance(0)
                rows.append(_process_image(path, job, generate, advance))
    result = {
        "output": output,
        "format": format,
        "preset": preset,
        "images": rows,
        "done_before": len(paths) - len(remaining),
    }
    _report(result, as_json=as_json)
    if rows and all("error" in row for row in rows):
        raise typer.Exit(1)


def _find_format(name: str, polygon_tolerance: float) -> "MaskFormat":
    from keras_sam.annotations.registry import find_mask_format

    try:
        return find_mask_format(name, polygon_tolerance=polygon_tolerance)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _advance(
    progress: Callable[[float, int], None], completed: int, total: int, fraction: float
) -> None:
    progress(completed + fraction, total)


def _find_images(images: str) -> list[Path]:
    """Return the images of a path, a folder or a pattern, sorted."""
    path = Path(images)
    if path.is_dir():
        paths = [file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES]
    elif path.exists():
        paths = [path]
    else:
        paths = [Path(name) for name in glob.glob(images, recursive=True)]
        paths = [file for file in paths if file.is_file()]
    if not paths:
        raise ValueError(f"found no image at {images}")
    path_of_stem: dict[str, Path] = {}
    for path in sorted(paths):
        if path.stem in path_of_stem:
            raise ValueError(
                f"{path_of_stem[path.stem]} and {path} would have the same output files; rename "
                "one of them, or process their folders separately"
            )
        path_of_stem[path.stem] = path
    return list(path_of_stem.values())


def _create_generator(
    preset: str, options: dict[str, Any], region: BoxPrompt | None, tiles: dict[str, int | None]
) -> Callable[..., list["MaskRecord"]]:
    """Return a function from an `ImageReader` and `progress` to records."""
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
    from keras_sam.predict.sam_mask_generator import SAMMaskGenerator
    from keras_sam.predict.tiled_mask_generator import TiledMaskGenerator

    model = SAMImageSegmenter.from_preset(preset)
    generator = SAMMaskGenerator(model, output_mode="coco_rle", **_without_none(options))
    if tiles["tile_size"] is not None:
        return TiledMaskGenerator(generator, **_without_none(tiles)).generate
    return lambda image, **kwargs: generator.generate(image.pixels, region=region, **kwargs)


def _without_none(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _process_image(
    path: Path,
    job: ImageJob,
    generate: Callable[..., list["MaskRecord"]],
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Write the masks of an image, and return its row of the report."""
    from keras_sam.annotations.registry import write_masks
    from keras_sam.images.image_reader import ArrayReader
    from keras_sam.images.open_image import open_image
    from keras_sam.images.read_image import read_image

    started = time.perf_counter()
    try:
        reader = open_image(path) if job.is_tiled else ArrayReader(read_image(path), path=path)
        with reader as image:
            needs_georeference = job.mask_format.needs_georeference
            georeference = image.georeference if needs_georeference else None
            if needs_georeference and georeference is None:
                raise ValueError(f"{job.mask_format.name} needs an image with a georeference")
            records = generate(image, progress=lambda completed, total: progress(completed / total))
            job.output.mkdir(parents=True, exist_ok=True)
            is_small = image.size[0] * image.size[1] <= MAX_OVERLAY_PIXELS
            if job.overlay and (is_small or not job.is_tiled):
                pixels = image.read((0, 0, image.size[1], image.size[0]))
                _write_overlay(pixels, records, job.output / f"{path.stem}_overlay.png")
        written = write_masks(
            records,
            image.size,
            job.mask_format.path_for(job.output, path),
            format=job.mask_format.name,
            file_name=path.name,
            georeference=georeference,
            polygon_tolerance=job.polygon_tolerance,
        )
    except (ValueError, OSError, ImportError) as error:
        return {"image": path, "error": " ".join(str(error).split())}
    seconds = round(time.perf_counter() - started, 3)
    return {"image": path, "masks": len(records), "written": written, "seconds": seconds}


def _write_overlay(pixels: Any, records: list["MaskRecord"], path: Path) -> None:
    from PIL import Image

    from keras_sam.drawing.draw_annotations import draw_annotations
    from keras_sam.files.atomic_file import write_atomically

    encoded = io.BytesIO()
    Image.fromarray(draw_annotations(pixels, records)).save(encoded, "PNG")
    write_atomically(path, encoded.getvalue())


def _report(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for row in result["images"]:
        if "error" in row:
            typer.echo(f"  {row['image']}: {row['error']}", err=True)
        else:
            typer.echo(f"  {row['written']}: {row['masks']} masks, {row['seconds']:.1f} s")
    if result["done_before"]:
        typer.echo(f"  {result['done_before']} done before; --overwrite processes them again")
