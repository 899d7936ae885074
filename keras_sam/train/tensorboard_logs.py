"""`TensorBoardLogs`: a callback that writes the logs of each epoch for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_sam.train.training_state import TrainingState

FLUSH_SECONDS = 10  # TensorBoard reads every 30 seconds


class TensorBoardLogs(keras.callbacks.Callback):
    """Writes the loss and the validation metrics of each epoch for TensorBoard.

    It works on every backend and needs no TensorFlow. The names are those of the logs. The step is
    the number of completed epochs, so metrics before training have step 0. A resumed run writes
    the epochs of the state again, and TensorBoard ignores the earlier files. Place the callback
    after `TrainingState`.

    Args:
        folder: Folder of the logs. It is created when training begins.
        state: Callback with the logs of all epochs.

    Raises:
        ImportError: If tensorboardX is not installed.
    """

    def __init__(self, folder: str | Path, state: TrainingState) -> None:
        super().__init__()
        require_tensorboardx()
        self.folder = Path(folder)
        self.state = state
        self._writer: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Open a file, and write the metrics before training and the completed epochs."""
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(
            str(self.folder),
            purge_step=0,  # hides earlier files
            flush_secs=FLUSH_SECONDS,
            # The time in the file's name has a resolution of one second.
            filename_suffix=f".{self.state.epoch}",
        )
        baseline = self.state.validation.baseline
        self._write({f"val_{name}": value for name, value in baseline.items()}, step=0)
        for epoch_logs in self.state.logs:
            self._write_epoch(epoch_logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the logs of the epoch."""
        self._write_epoch(self.state.logs[-1])

    def on_train_end(self, logs: Any = None) -> None:
        """Complete the file."""
        self._writer.close()

    def _write_epoch(self, logs: Mapping[str, float]) -> None:
        values = {name: value for name, value in logs.items() if name != "epoch"}
        self._write(values, step=int(logs["epoch"]))

    def _write(self, values: Mapping[str, float], *, step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)


def require_tensorboardx() -> None:
    """Check that tensorboardX is installed.

    Raises:
        ImportError: If it is not, with the command that installs it.
    """
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "TensorBoard logs need tensorboardX; run: pip install 'keras-sam[tensorboard]'"
        ) from error
