from keras_sam.export.layouts.registry import LAYOUTS


def test_each_layout_is_listed_by_its_name():
    assert list(LAYOUTS) == ["meta", "transformers", "osam", "samexporter", "cvat"]
    assert all(name == layout.name for name, layout in LAYOUTS.items())
