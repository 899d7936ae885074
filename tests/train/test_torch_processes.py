"""Training with torch in one process per device: its end, its errors, and random seeds."""

import keras
import numpy as np
import pytest

from keras_sam.train.fit_on_devices import fit_on_devices
from keras_sam.train.torch_processes import (
    TrainingProcessError,
    count_torch_devices,
    replica_seed,
)
from tests.train.two_devices import BACKEND, build_model, cached_batches, image_batches

pytestmark = [
    pytest.mark.skipif(BACKEND != "torch", reason="only torch starts processes"),
    pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning"),
]


def test_replicas_have_other_seeds_and_the_first_keeps_its_own():
    seed = np.array([7, 1 << 20], "int64")
    found = [replica_seed(seed, replica).tolist() for replica in range(4)]
    assert found[0] == seed.tolist()
    assert found == [replica_seed(seed, replica).tolist() for replica in range(4)]
    assert len({sum(one) for one in found}) == 4  # torch adds the two numbers
    assert all(0 <= number < 2**31 for one in found for number in one)
    assert replica_seed(seed + 1, 1).tolist() != found[1]


def test_devices_without_accelerators_are_cores(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert count_torch_devices() == 3


class StopAfterOneStep(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = True


def test_all_processes_stop_with_the_first(tmp_path):
    batches = cached_batches(tmp_path, [1, 2, 3, 2], batch_size=2)
    model = build_model()
    history = fit_on_devices(
        model, batches, devices=2, epochs=5, callbacks=[StopAfterOneStep()], verbose=0
    )
    assert history.epoch == [0]
    assert int(model.optimizer.iterations.value) == 1


def test_a_failure_in_another_process_ends_training(tmp_path):
    batches = cached_batches(tmp_path, [1, 2, 3, 2], batch_size=2)
    order = np.random.default_rng((0, 0)).permutation(4)  # of the first epoch
    (path,) = batches.files[order[1]]  # second image of the first batch
    path.unlink()
    with pytest.raises(TrainingProcessError, match=rf"(?s)failed on device 1.*{path.name}"):
        fit_on_devices(build_model(), batches, devices=2, verbose=0)


def test_a_failure_in_this_process_ends_training(tmp_path):
    batches = cached_batches(tmp_path, [1, 2, 3, 2], batch_size=2)
    order = np.random.default_rng((0, 0)).permutation(4)
    (path,) = batches.files[order[0]]
    path.unlink()
    with pytest.raises(FileNotFoundError, match=path.name):
        fit_on_devices(build_model(), batches, devices=2, verbose=0)


def test_data_sets_that_cannot_be_pickled_raise(tmp_path):
    batches = image_batches(tmp_path, [1, 2], batch_size=2, augment=lambda image, masks: None)
    with pytest.raises(ValueError, match=r"can be pickled.*lambda"):
        fit_on_devices(build_model(with_preprocessor=True), batches, devices=2)
