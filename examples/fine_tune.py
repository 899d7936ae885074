"""Fine-tune the mask decoder of a preset on a folder of labeled images.

    python examples/fine_tune.py FOLDER OUTPUT

`keras-sam finetune` does more: it measures each kind of prompt, keeps the best weights, and writes
a report.
"""

import sys

import keras

import keras_sam
from keras_sam.train import MaskBatches


def main(folder: str, output: str, epochs: int = 20) -> None:
    train, val, _ = keras_sam.open_dataset(folder).split(val=0.15, test=0.15, seed=1)
    segmenter = keras_sam.SAMImageSegmenter.from_preset("sam_tiny_synthetic")
    segmenter.set_trained_part("decoder")
    segmenter.compile("auto")
    segmenter.fit(
        MaskBatches(train),
        validation_data=MaskBatches(val, shuffle=False),
        epochs=epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)],
    )
    segmenter.save_to_preset(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
