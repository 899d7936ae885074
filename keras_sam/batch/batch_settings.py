"""`BatchSettings`: everything that determines the masks of a batch."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_sam.images.read_image import MAX_PIXELS
from keras_sam.predict.generator_config import GeneratorConfig


@dataclass(frozen=True)
class BatchSettings:
    """Model and options of a batch. All images of a table share them.

    Attributes:
        preset: Name, address or directory of a preset, see `SAMImageSegmenter.from_preset`.
        dtype: Keras dtype policy of the model, such as "bfloat16". `None` uses the preset's.
        multimask_output: If True, three masks per prompt. If False, one. `None` predicts three
            for a single point, which is ambiguous, and one for any other prompt.
        max_pixels: Maximum number of pixels of an image. Larger images are errors.
        generator: Options for images without prompts. `stability_score_offset` also applies to
            prompts. `output_mode` is ignored: the table always contains compressed RLEs.
    """

    preset: str = "sam_tiny_synthetic"
    dtype: str | None = None
    multimask_output: bool | None = None
    max_pixels: int = MAX_PIXELS
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that affect masks as plain values, for JSON."""
        values = dataclasses.asdict(self)
        generator = values["generator"]
        del generator["output_mode"]
        if generator["point_grids"] is not None:
            generator["point_grids"] = [
                np.asarray(grid).tolist() for grid in self.generator.point_grids or ()
            ]
        return values
