"""The command `keras-sam`: argument parsing, files in and out. The work is done elsewhere."""

from keras_sam.cli.app import app, main
from keras_sam.cli.backend import choose_backend

__all__ = ["app", "choose_backend", "main"]
