"""`Backbone`: base class of the backbones."""

from keras_sam.models.preset_model import PresetModel


class Backbone(PresetModel):
    """Base class of the backbones, which loads any of them from a preset.

    `Backbone.from_preset` finds the class from the preset's config. A subclass loads only its
    own presets.
    """

    token_embedding = None  # an attribute of keras-hub's backbones, which those of images lack
