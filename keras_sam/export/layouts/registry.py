"""`LAYOUTS`: every layout of exported files."""

from keras_sam.export.layouts.layout import Layout
from keras_sam.export.layouts.meta import CVAT, META, OSAM, SAMEXPORTER
from keras_sam.export.layouts.transformers import TRANSFORMERS

LAYOUTS: dict[str, Layout] = {
    layout.name: layout for layout in (META, TRANSFORMERS, OSAM, SAMEXPORTER, CVAT)
}
