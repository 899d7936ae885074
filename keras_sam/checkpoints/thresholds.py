"""`parse_thresholds`: which masks of everything mode are worth keeping, as checked plain values.

Ratings of one model mean less than those of another, so the thresholds belong to its weights.
`keras_sam.predict.mask_generator.SAMMaskGenerator` tells what they mean.
"""

import math
from pathlib import Path
from typing import Any

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.config import truncate
from keras_sam.checkpoints.preset_files import THRESHOLDS, read_json
from keras_sam.checkpoints.validate_fields import validate_fields

# Those of Meta's SamAutomaticMaskGenerator.
SAM = {"pred_iou_thresh": 0.88, "stability_score_thresh": 0.95}


def parse_thresholds(value: Any, *, source: str) -> dict[str, float]:
    """The thresholds, each present.

    Args:
        value: a dictionary; `None` and those that are left out are SAM's.
        source: where it comes from, for messages.

    Raises:
        CheckpointError: for another name, or a value that is no number in 0..1.
    """
    given = validate_fields(
        value,
        SAM,
        what=f"the thresholds of '{source}'",
        expected=f"the fields {', '.join(SAM)}",
    )
    for name, number in given.items():
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if not is_number or math.isnan(number) or not 0 <= number <= 1:
            raise CheckpointError(
                f"the thresholds of '{source}' have {name}={truncate(number)}; expected a number "
                "in 0..1"
            )
    return SAM | {name: float(number) for name, number in given.items()}


def read_thresholds(place: Path, *, source: str) -> dict[str, float]:
    """The thresholds of the model in a directory; SAM's if nothing tells.

    Args:
        place: the directory, or Meta's file.
        source: the preset, for messages.

    Raises:
        CheckpointError: if the file is damaged.
    """
    if not place.is_dir() or not (place / THRESHOLDS).exists():
        return dict(SAM)
    return parse_thresholds(read_json(place / THRESHOLDS, source=source), source=source)
