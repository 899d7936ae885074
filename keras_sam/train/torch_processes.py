"""`fit_in_processes`: training with torch in one process per device.

This process is the first. It runs the callbacks and decides about each step; the others follow.
"""

import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sam.losses.replicas import use_replica
from keras_sam.models.model_copy import (
    build_model,
    describe_model,
    seed_states,
    training_variables,
)
from keras_sam.train.batch_part import BatchPart

HOST = "127.0.0.1"
POLL_SECONDS = 0.1
ERROR_SECONDS = 10  # for a process that failed to end
CONTROL_TIMEOUT = timedelta(days=30)  # the others wait as long as the first one validates


class _Command(IntEnum):
    """Message of the first process to the others."""

    STEP = 0
    END_EPOCH = 1
    END = 2


class TrainingProcessError(RuntimeError):
    """Training failed in another process."""


class _EndOfTrainingError(Exception):
    """Ends `fit` in the other processes."""


@dataclass(frozen=True)
class _Plan:
    """What the other processes need to train.

    Attributes:
        model: Output of `describe_model`.
        batches: Batches of all devices.
        devices: Number of processes.
        port: Port of the first process.
        initial_epoch: Index of the first epoch.
        threads: Number of CPU threads of each process.
    """

    model: dict[str, Any]
    batches: Any
    devices: int
    port: int
    initial_epoch: int
    threads: int


def count_torch_devices() -> int:
    """Return the number of accelerators, or of usable CPU cores without any."""
    import torch

    return torch.cuda.device_count() if _has_cuda() else _count_cores()


def fit_in_processes(
    model: Any,
    batches: Any,
    devices: int,
    callbacks: Sequence[keras.callbacks.Callback],
    *,
    epochs: int,
    initial_epoch: int,
    verbose: Any,
) -> keras.callbacks.History:
    """Train a model on several devices with torch; see `fit_on_devices`."""
    import torch
    from torch import distributed, multiprocessing

    store = distributed.TCPStore(HOST, 0, devices, is_master=True, wait_for_workers=False)
    threads = torch.get_num_threads()
    plan = _Plan(
        describe_model(model),
        batches,
        devices,
        port=store.port,
        initial_epoch=initial_epoch,
        threads=max(1, _count_cores() // devices),
    )
    processes = multiprocessing.start_processes(
        _follow, args=(_pickle(plan),), nprocs=devices - 1, join=False, start_method="spawn"
    )
    try:
        torch.set_num_threads(min(threads, plan.threads))
        _wait_until_ready(processes, store, devices)
        with _process_group(store, 0, plan) as group, use_replica(TorchReplica(model, group)):
            history = model.fit(
                batches.take_part(BatchPart(devices, 0)),
                shuffle=False,  # all processes must take the same batches
                epochs=epochs,
                initial_epoch=initial_epoch,
                callbacks=[_Lead(group), *callbacks],
                verbose=verbose,
            )
            group.send(_Command.END)
            while not _join(processes, None):
                pass
        return history
    except TrainingProcessError:
        raise
    except RuntimeError:  # of the communication, if another process failed
        _join(processes, ERROR_SECONDS)
        raise
    finally:
        torch.set_num_threads(threads)
        for process in processes.processes:
            process.kill()
            process.join()


def replica_seed(seed: np.ndarray, replica: int) -> np.ndarray:
    """Return the state `(2,)` of a seed generator of a replica, from that of the first one."""
    if replica == 0:
        return seed
    sequence = np.random.SeedSequence([*(int(number) for number in seed), replica])
    return (sequence.generate_state(2) >> 1).astype(seed.dtype)  # int32 on some backends


class TorchReplica:
    """This process as one of several replicas, see `keras_sam.losses.replicas.Replica`.

    Args:
        model: Model to train.
        group: Group of the processes.
    """

    def __init__(self, model: keras.Model, group: "_Group") -> None:
        from torch.nn.parallel import DistributedDataParallel

        self._devices = group.devices
        # Prompts of some kinds may be missing in a batch, and with them gradients.
        self._loss = DistributedDataParallel(_loss_module(model), find_unused_parameters=True)

    def mean(self, value: Any) -> Any:
        """Average a value over the processes, without a gradient."""
        from torch import distributed

        value = value.detach().clone()
        distributed.all_reduce(value)
        return value / self._devices

    def average_gradients(self, loss: Any) -> Any:
        """Return the loss. Its gradients are averaged when they are computed."""
        return self._loss(loss)


def _loss_module(model: keras.Model) -> Any:
    """Return a module with the trained weights of a model that returns the loss it is given.

    `DistributedDataParallel` expects that the module computes the loss. Keras' training step
    does that, but only the weights and the output matter.
    """
    import torch

    class Loss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.ParameterList(
                [variable.value for variable in model.trainable_variables]
            )

        def forward(self, loss: Any) -> Any:
            return loss

    return Loss()


def _follow(index: int, plan_bytes: bytes) -> None:
    """Train in another process until the first one ends it."""
    import torch
    from torch import distributed

    plan: _Plan = pickle.loads(plan_bytes)
    device = index + 1
    if _has_cuda():
        torch.cuda.set_device(device)
    torch.set_num_threads(plan.threads)
    store = distributed.TCPStore(HOST, plan.port, plan.devices, is_master=False)
    model: Any = build_model(plan.model)
    store.set(_ready_key(device), "")
    with (
        _process_group(store, device, plan) as group,
        use_replica(TorchReplica(model, group)),
        suppress(_EndOfTrainingError),
    ):
        model.fit(
            plan.batches.take_part(BatchPart(plan.devices, device)),
            shuffle=False,
            epochs=sys.maxsize,
            initial_epoch=plan.initial_epoch,
            callbacks=[_Follow(group)],
            verbose=0,
        )


class _Group:
    """Communication between the processes.

    Args:
        device: Index of this process.
        devices: Number of processes.
    """

    def __init__(self, device: int, devices: int) -> None:
        from torch import distributed

        self.device = device
        self.devices = devices
        # On the CPU, so that waiting does not keep an accelerator busy, or end with its timeout.
        self._control = distributed.new_group(backend="gloo", timeout=CONTROL_TIMEOUT)

    def send(self, command: _Command) -> None:
        """Send a command to the other processes."""
        self._broadcast(command)

    def receive(self) -> _Command:
        """Wait for the next command of the first process."""
        return _Command(self._broadcast(_Command.END))

    def _broadcast(self, command: _Command) -> int:
        import torch
        from torch import distributed

        message = torch.tensor([command])
        distributed.broadcast(message, src=0, group=self._control)
        return int(message)

    def share_variables(self, model: keras.Model) -> None:
        """Copy the weights and the optimizer of the first process, and derive random seeds."""
        from torch import distributed

        for variable in training_variables(model).values():
            distributed.broadcast(variable.value.detach(), src=0)
        for variable in seed_states(model):
            variable.assign(replica_seed(ops.convert_to_numpy(variable), self.device))

    def add_up_metrics(self, model: keras.Model) -> None:
        """Add up the variables of the metrics over all processes."""
        from torch import distributed

        for variable in model.metrics_variables:
            distributed.all_reduce(variable.value.detach())


class _Lead(keras.callbacks.Callback):
    """Announces each step of the first process."""

    def __init__(self, group: _Group) -> None:
        super().__init__()
        self._group = group

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._group.send(_Command.STEP)
        if batch == 0:
            self._group.share_variables(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._group.send(_Command.END_EPOCH)
        self._group.add_up_metrics(self.model)
        if logs is not None:
            metrics = self.model.get_metrics_result()
            logs |= {name: float(value) for name, value in metrics.items()}


class _Follow(keras.callbacks.Callback):
    """Waits for each step of the first process."""

    def __init__(self, group: _Group) -> None:
        super().__init__()
        self._group = group

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._wait_for(_Command.STEP)
        if batch == 0:
            self._group.share_variables(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._wait_for(_Command.END_EPOCH)
        self._group.add_up_metrics(self.model)

    def _wait_for(self, expected: _Command) -> None:
        while (command := self._group.receive()) != expected:
            if command == _Command.END:
                raise _EndOfTrainingError
            self._group.add_up_metrics(self.model)  # the first process stopped within an epoch


@contextmanager
def _process_group(store: Any, device: int, plan: _Plan) -> Iterator[_Group]:
    from torch import distributed

    backend = "nccl" if _has_cuda() else "gloo"
    distributed.init_process_group(backend, store=store, rank=device, world_size=plan.devices)
    try:
        yield _Group(device, plan.devices)
    finally:
        distributed.destroy_process_group()


def _wait_until_ready(processes: Any, store: Any, devices: int) -> None:
    """Wait until all processes have built their model, and raise if one fails."""
    keys = [_ready_key(device) for device in range(1, devices)]
    while not store.check(keys):
        _join(processes, POLL_SECONDS)


def _join(processes: Any, seconds: float | None) -> bool:
    """Wait for the processes to end, and return True if all have.

    Raises:
        TrainingProcessError: If one failed. The others are ended.
    """
    from torch import multiprocessing

    try:
        return bool(processes.join(timeout=seconds))
    except (
        multiprocessing.ProcessExitedException,
        multiprocessing.ProcessRaisedException,
    ) as error:
        device = error.error_index + 1
        raise TrainingProcessError(f"training failed on device {device}: {error}") from None


def _pickle(plan: _Plan) -> bytes:
    try:
        return pickle.dumps(plan)
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise ValueError(
            "training in several processes needs data sets that can be pickled, with functions "
            f"of modules instead of local ones: {error}"
        ) from error


def _ready_key(device: int) -> str:
    return f"ready/{device}"


def _has_cuda() -> bool:
    """Return True if Keras places weights on CUDA devices."""
    import torch

    return torch.cuda.is_available() and os.environ.get("KERAS_TORCH_DEVICE", "cuda") != "cpu"


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
