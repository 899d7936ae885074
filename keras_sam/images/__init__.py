"""Images and georeferences read from files and arrays, whole or in boxes. No masks."""

from keras_sam.images.georeference import Georeference, read_georeference
from keras_sam.images.image_reader import ArrayReader, ImageReader
from keras_sam.images.open_image import open_image
from keras_sam.images.raster_reader import RasterReader
from keras_sam.images.read_image import read_image

__all__ = [
    "ArrayReader",
    "Georeference",
    "ImageReader",
    "RasterReader",
    "open_image",
    "read_georeference",
    "read_image",
]
