"""Drawing of masks and prompts on images for people to look at; no files and no models."""

from keras_sam.drawing.draw_annotations import draw_annotations
from keras_sam.drawing.draw_comparison import draw_comparison
from keras_sam.drawing.overlay import draw_overlay

__all__ = [
    "draw_annotations",
    "draw_comparison",
    "draw_overlay",
]
