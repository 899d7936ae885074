"""Training: scenes, simulated prompts, losses, and the recipe of the tiny preset."""

from keras_sam.train.interactive_loss import InteractiveLoss
from keras_sam.train.recipe import Phase, Recipe
from keras_sam.train.train_recipe import train

__all__ = ["InteractiveLoss", "Phase", "Recipe", "train"]
