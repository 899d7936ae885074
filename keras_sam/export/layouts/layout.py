"""`Layout`: the names, shapes and dtypes that a program that loads our files expects."""

from collections.abc import Callable
from dataclasses import dataclass

from keras_sam.export.options import ExportOptions
from keras_sam.export.program import Program
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter


@dataclass(frozen=True)
class Layout:
    """A layout of the exported files.

    Attributes:
        name: Name of the layout.
        build: Function that returns the programs of a model: image encoder and mask decoder.
        single_mask: Usual choice for `ExportOptions.single_mask`. `None` if the layout has no
            such choice.
        high_quality: If True, models of SAM-HQ can be exported.
        frame: Usual side of the frame in pixels. `None` for the model's own.
        preprocess: If True, `ExportOptions.preprocess` is possible.
        needs_stages: If True, the files contain operations that only ONNX and OpenVINO have.
        files: Function that returns other files by their relative path, or `None`.
    """

    name: str
    build: Callable[[SAMImageSegmenter, ExportOptions], tuple[Program, Program]]
    single_mask: bool | None = False
    high_quality: bool = True
    frame: int | None = None
    preprocess: bool = True
    needs_stages: bool = False
    files: Callable[[SAMImageSegmenter, ExportOptions], dict[str, bytes]] | None = None
