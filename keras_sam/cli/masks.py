"""`keras-sam masks`: everything on a photograph, or on many."""

import glob
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

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

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
# Below the folder of the output: where the masks of an image go, and the file written last.
PLACES = {
    "coco": ("{}_masks.json", ""),
    "coco-polygons": ("{}_masks.json", ""),
    "geojson": ("{}_masks.geojson", ""),
    "label-map": ("{}_masks.png", ""),
    "labelme": ("{}_masks.json", ""),
    "npz": ("{}_masks.npz", ""),
    "png": ("{}_masks", "metadata.csv"),
    "yolo": ("", "labels/{}.txt"),  # one folder for all images, as it is trained on
}
MAX_PICTURE = 50_000_000  # pixels: of a larger image that is read in windows none is drawn


@dataclass(frozen=True)
class Task:
    """What is to be done with each photograph.

    Attributes:
        output: the folder for masks and pictures.
        form: of the files of masks.
        tolerance: pixels by which outlines may be off.
        picture: whether the masks are drawn.
        is_tiled: whether it is read in windows, not whole.
    """

    output: Path
    form: str
    tolerance: float
    picture: bool
    is_tiled: bool


@report_user_errors
def masks_command(
    images: Annotated[
        str, typer.Argument(help="A photograph, a folder, or a pattern like '*.jpg'.")
    ],
    output: Annotated[
        Path, typer.Option("--output", help="The folder for masks and pictures.")
    ] = Path("masks"),
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="coco, coco-polygons, labelme, yolo, geojson, label-map, png or npz.",
        ),
    ] = "coco",
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
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", min=0.0, help="Pixels by which outlines may be off; 0: exact."),
    ] = 0.0,
    picture: Annotated[
        bool, typer.Option("--picture/--no-picture", help="Draw the masks of each photograph.")
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
    from keras_sam.annotations.registry import POLYGON_FORMATS

    if form not in PLACES:
        raise typer.BadParameter(f"--format must be one of {', '.join(PLACES)}, got {form!r}")
    if tolerance and form not in POLYGON_FORMATS:
        raise typer.BadParameter(f"--tolerance is of outlines, which {form} has none of")
    if overlap is not None and tile_size is None:
        raise typer.BadParameter("--overlap is of tiles: give --tile-size, too")
    if region is not None and tile_size is not None:
        raise typer.BadParameter("--region is searched as one image: leave out --tile-size")
    files = _find_images(images)
    left = [file for file in files if overwrite or not _is_done(output, file, form)]
    task = Task(output, form, tolerance, picture, is_tiled=tile_size is not None)
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
        "format": form,
        "preset": preset,
        "images": rows,
        "done_before": len(files) - len(left),
    }
    _report(result, as_json=as_json)
    if rows and all("error" in row for row in rows):
        raise typer.Exit(1)


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


def _is_done(output: Path, file: Path, form: str) -> bool:
    place, last = (part.format(file.stem) for part in PLACES[form])
    return (output / place / last).exists()


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
            georeference = image.georeference if task.form == "geojson" else None
            if task.form == "geojson" and georeference is None:
                raise ValueError("geojson needs a georeference: the file names no place on the map")
            records = generate(image, progress=lambda done, total: progress(done / total))
            task.output.mkdir(parents=True, exist_ok=True)
            is_small = image.size[0] * image.size[1] <= MAX_PICTURE
            if task.picture and (is_small or not task.is_tiled):
                pixels = image.read((0, 0, image.size[1], image.size[0]))
                _draw(pixels, records, task.output / f"{file.stem}_overlay.png")
        written = write_masks(
            records,
            image.size,
            task.output / PLACES[task.form][0].format(file.stem),
            form=task.form,
            file_name=file.name,
            georeference=georeference,
            tolerance=task.tolerance,
        )
    except (ValueError, OSError, ImportError) as error:
        return {"image": file, "error": " ".join(str(error).split())}
    seconds = round(time.perf_counter() - started, 3)
    return {"image": file, "masks": len(records), "written": written, "seconds": seconds}


def _draw(pixels: Any, records: list[dict[str, Any]], file: Path) -> None:
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
