"""`keras-sam masks`: everything on a photograph, or on many."""

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
from keras_sam.cli.prompts import Box, parse_points_per_side

if TYPE_CHECKING:
    from keras_sam.annotations.registry import MaskFormat

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
MAX_OVERLAY_PIXELS = 50_000_000  # larger images that are read in tiles get no overlay


@dataclass(frozen=True)
class Task:
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
    images: Annotated[
        str, typer.Argument(help="A photograph, a folder, or a pattern like '*.jpg'.")
    ],
    output: Annotated[
        Path, typer.Option("--output", help="The folder for masks and overlays.")
    ] = Path("masks"),
    format: Annotated[str, typer.Option("--format", help="One of the formats below.")] = "coco",
    preset: PresetOption = DEFAULT_PRESET,
    points_per_side: Annotated[
        Any,
        typer.Option(
            "--points-per-side",
            help="Of the grid, or auto: finer only where masks are found. Default: 32.",
            parser=parse_points_per_side,
            metavar="INTEGER|auto",
            show_default=False,
        ),
    ] = None,
    region: Annotated[
        Any,
        typer.Option(
            "--region",
            help="Search this part alone, in pixels.",
            parser=Box.parse,
            metavar="X0,Y0,X1,Y1",
            show_default=False,
        ),
    ] = None,
    pred_iou_thresh: Annotated[
        float | None,
        typer.Option(
            "--pred-iou-thresh",
            help="Only masks that the model rates higher. Default: the preset's.",
            show_default=False,
        ),
    ] = None,
    stability_score_thresh: Annotated[
        float | None,
        typer.Option(
            "--stability-score-thresh",
            help="Only masks as stable. Default: the preset's.",
            show_default=False,
        ),
    ] = None,
    crop_n_layers: Annotated[
        int | None,
        typer.Option(
            "--crop-n-layers", min=0, help="Search crops of the image too.", show_default=False
        ),
    ] = None,
    min_mask_region_area: Annotated[
        int | None,
        typer.Option(
            "--min-mask-region-area",
            min=0,
            help="Remove smaller holes and islands, in pixels.",
            show_default=False,
        ),
    ] = None,
    tile_size: Annotated[
        int | None,
        typer.Option(
            "--tile-size",
            help="Search tiles of so many pixels a side: for images of any size.",
            show_default=False,
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option("--overlap", help="Pixels that tiles share at least.", show_default=False),
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
        bool, typer.Option("--overwrite", help="Do images again whose masks are there.")
    ] = False,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Finds everything on photographs: all masks, each once.

    Each photograph's masks are written when they are found: stopped and started again, it goes
    on. One that cannot be read is told of at the end.
    """
    mask_format = _find_format(format, polygon_tolerance)
    if overlap is not None and tile_size is None:
        raise typer.BadParameter("--overlap is of tiles: give --tile-size, too")
    if region is not None and tile_size is not None:
        raise typer.BadParameter("--region is searched as one image: leave out --tile-size")
    files = _find_images(images)
    left = [file for file in files if overwrite or not mask_format.is_done(output, file)]
    task = Task(output, mask_format, polygon_tolerance, overlay, is_tiled=tile_size is not None)
    settings = {
        "points_per_side": points_per_side,
        "pred_iou_thresh": pred_iou_thresh,
        "stability_score_thresh": stability_score_thresh,
        "crop_n_layers": crop_n_layers,
        "min_mask_region_area": min_mask_region_area,
    }
    rows: list[dict[str, Any]] = []
    if left:
        choose_backend(backend)
        tiles = {"tile_size": tile_size, "overlap": overlap}
        generate = _generator(preset, settings, region, tiles)
        with progress_bar("images") as progress:
            for file in left:
                advance = partial(_advance, progress, len(rows), len(left))
                advance(0)
                rows.append(_do_image(file, task, generate, advance))
    result = {
        "output": output,
        "format": format,
        "preset": preset,
        "images": rows,
        "done_before": len(files) - len(left),
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


def _advance(progress: Callable[[float, int], None], done: int, total: int, share: float) -> None:
    progress(done + share, total)


def _find_images(images: str) -> list[Path]:
    """The photographs of a path, a folder or a pattern, sorted."""
    path = Path(images)
    if path.is_dir():
        found = [file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES]
    elif path.exists():
        found = [path]
    else:
        found = [Path(name) for name in glob.glob(images, recursive=True)]
        found = [file for file in found if file.is_file()]
    if not found:
        raise ValueError(f"found no photograph at {images}")
    stems: dict[str, Path] = {}
    for file in sorted(found):
        if file.stem in stems:
            raise ValueError(
                f"{stems[file.stem]} and {file} would write the same files; give them other names, "
                "or do their folders one by one"
            )
        stems[file.stem] = file
    return list(stems.values())


def _generator(
    preset: str, settings: dict[str, Any], region: Box | None, tiles: dict[str, int | None]
) -> Callable[..., list[dict[str, Any]]]:
    """Finds the masks of windows; takes `progress`, too."""
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
    from keras_sam.predict.mask_generator import SAMMaskGenerator
    from keras_sam.predict.tiled_mask_generator import TiledMaskGenerator

    model = SAMImageSegmenter.from_preset(preset)
    generator = SAMMaskGenerator(model, output_mode="coco_rle", **_given(settings))
    if tiles["tile_size"] is not None:
        return TiledMaskGenerator(generator, **_given(tiles)).generate
    return lambda image, **options: generator.generate(image.pixels, region=region, **options)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _do_image(
    file: Path,
    task: Task,
    generate: Callable[..., list[dict[str, Any]]],
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Writes an image's masks, and says what became of it."""
    from keras_sam.annotations.registry import write_masks
    from keras_sam.images.image_reader import ArrayReader
    from keras_sam.images.open_image import open_image
    from keras_sam.images.read_image import read_image

    started = time.perf_counter()
    try:
        opened = open_image(file) if task.is_tiled else ArrayReader(read_image(file), path=file)
        with opened as image:
            needs_georeference = task.mask_format.needs_georeference
            georeference = image.georeference if needs_georeference else None
            if needs_georeference and georeference is None:
                raise ValueError(f"{task.mask_format.name} needs an image with a georeference")
            records = generate(image, progress=lambda done, total: progress(done / total))
            task.output.mkdir(parents=True, exist_ok=True)
            is_small = image.size[0] * image.size[1] <= MAX_OVERLAY_PIXELS
            if task.overlay and (is_small or not task.is_tiled):
                pixels = image.read((0, 0, image.size[1], image.size[0]))
                _write_overlay(pixels, records, task.output / f"{file.stem}_overlay.png")
        written = write_masks(
            records,
            image.size,
            task.mask_format.path_for(task.output, file),
            format=task.mask_format.name,
            file_name=file.name,
            georeference=georeference,
            polygon_tolerance=task.polygon_tolerance,
        )
    except (ValueError, OSError, ImportError) as error:
        return {"image": file, "error": " ".join(str(error).split())}
    seconds = round(time.perf_counter() - started, 3)
    return {"image": file, "masks": len(records), "written": written, "seconds": seconds}


def _write_overlay(pixels: Any, records: list[dict[str, Any]], file: Path) -> None:
    from PIL import Image

    from keras_sam.drawing.draw_annotations import draw_annotations
    from keras_sam.files.atomic_file import write_atomically

    encoded = io.BytesIO()
    Image.fromarray(draw_annotations(pixels, records)).save(encoded, "PNG")
    write_atomically(file, encoded.getvalue())


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
        typer.echo(f"  {result['done_before']} done before; --overwrite does them again")
