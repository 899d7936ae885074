"""Files written as a whole or not at all, and JSON and arrays read safely. No image formats."""

from keras_sam.files.atomic_directory import replace_directory
from keras_sam.files.atomic_file import write_atomically
from keras_sam.files.json_file import read_json
from keras_sam.files.safetensors_file import load_safetensors, save_safetensors

__all__ = [
    "load_safetensors",
    "read_json",
    "replace_directory",
    "save_safetensors",
    "write_atomically",
]
