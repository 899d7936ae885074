"""`ExportOptions`: choices for the exported files."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportOptions:
    """Choices for the exported files.

    Attributes:
        layout: Name of the layout: names, shapes and dtypes of inputs and outputs.
        weights: Type of the stored weights. Defaults to the format's first one.
        frame: Side of the square model frame in pixels that the files have. A multiple of the
            model's own, which is the default. Many consumers expect 1024.
        single_mask: If True, the decoder returns the best mask of a prompt. If False, all masks.
            Defaults to the layout's usual choice.
        preprocess: If True, the image encoder's file takes images `(H, W, 3)` of any size with
            values in [0, 255], and resizes and normalizes them. ONNX and OpenVINO.
        num_points: Number of points per prompt in formats with static shapes. Prompts with fewer
            points are padded with the label -10.
    """

    layout: str = "meta"
    weights: str | None = None
    frame: int | None = None
    single_mask: bool | None = None
    preprocess: bool = False
    num_points: int = 8
