"""Overlays, legends and galleries: masks as pictures for people."""

from keras_sam.drawing.draw_annotations import draw_annotations
from keras_sam.drawing.overlay import draw_overlay

__all__ = [
    "draw_annotations",
    "draw_overlay",
]
