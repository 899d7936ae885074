import os
import pickle

from keras_sam.batch.batch_image import BatchImage, path_to_text


def test_path_to_text_keeps_unicode_and_escapes_other_bytes():
    assert path_to_text("straße/木.png") == "straße/木.png"
    assert path_to_text(os.fsdecode(b"\xff.png")) == "\\xff.png"


def test_image_with_any_path_can_be_sent_to_a_worker():
    image = BatchImage("a", os.fsdecode(b"\xff.png"), boxes=[[0, 1, 2, 3]])
    assert pickle.loads(pickle.dumps(image)) == image
