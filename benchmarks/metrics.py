"""`job_metrics`: the results of a job, as the report contains them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.agreement import measure_agreement
from benchmarks.implementations import ModelFiles
from benchmarks.implementations.matrix_product import product_gflop
from benchmarks.participant import Participant
from benchmarks.plan import Job, Plan
from benchmarks.random_checkpoint import random_checkpoint


def job_metrics(
    job: Job,
    plan: Plan,
    files: ModelFiles,
    participants: Sequence[Participant],
    product_seconds: Sequence[float],
    reference_outputs: Path | None,
) -> dict[str, Any]:
    """Return the results of a job as plain values.

    Args:
        job: Job.
        plan: Settings of the comparison.
        files: Files of the model.
        participants: Participants after all rounds.
        product_seconds: Time of the matrix product in each round.
        reference_outputs: Outputs of the reference, or `None` if it failed.
    """
    workload = job.workload
    gflop = None
    if workload.step == "encode":
        checkpoint = random_checkpoint(job.model_size, files.image_size)
        encoder_config = checkpoint.config["image_encoder"]["config"]
        gflop = workload.batch_size * encoder_gflop(encoder_config)
    product_rates = product_gflop(plan.device) / np.array(product_seconds)
    baseline = _find_baseline(participants, plan)
    return {
        "workload": workload.name,
        "description": workload.description,
        "model_size": job.model_size,
        "image_size": files.image_size,
        "dtype": job.dtype,
        "batch_size": workload.batch_size,
        "device": plan.device,
        "threads": plan.threads,
        "gflop": gflop,
        "matrix_gflop_per_second": spread(product_rates) if len(product_rates) else None,
        "reference": plan.reference if reference_outputs else None,
        "baseline": baseline.name if baseline else None,
        "participants": [
            participant_metrics(
                participant,
                baseline_seconds=baseline.seconds if baseline else None,
                product_rates=product_rates,
                gflop=gflop,
                reference_outputs=reference_outputs,
            )
            for participant in participants
        ],
    }


def participant_metrics(
    participant: Participant,
    *,
    baseline_seconds: Sequence[float] | None,
    product_rates: np.ndarray,
    gflop: float | None,
    reference_outputs: Path | None,
) -> dict[str, Any]:
    """Return the results of a participant. Those that are unknown are `None`.

    Args:
        participant: Participant after all rounds.
        baseline_seconds: Time of the baseline in each round, or `None`.
        product_rates: Rate of the matrix product in each round, in GFLOP/s.
        gflop: Work of the task in GFLOP, or `None` if it is unknown.
        reference_outputs: Outputs of the reference, or `None`.
    """
    metrics: dict[str, Any] = {
        "name": participant.name,
        "is_ours": participant.is_ours,
        "status": participant.status,
        "reason": participant.reason,
        "seconds": None,
        "ratio": None,
        "matrix_fraction": None,
        "first_seconds": participant.first_seconds or None,
        "memory": participant.memory or None,
        "agreement": None,
    }
    if reference_outputs is not None and participant.outputs.exists():
        agreement = measure_agreement(
            participant.outputs, reference_outputs, precision=participant.precision
        )
        metrics["agreement"] = asdict(agreement)
    if not participant.is_running or not participant.seconds:
        return metrics
    seconds = np.array(participant.seconds)
    metrics["seconds"] = spread(seconds) | {"rounds": participant.seconds}
    if baseline_seconds is not None:
        metrics["ratio"] = spread(seconds / np.array(baseline_seconds))
    if gflop is not None and len(product_rates) == len(seconds):
        metrics["matrix_fraction"] = spread(gflop / seconds / product_rates)
    return metrics


def spread(values: np.ndarray) -> dict[str, float]:
    """Return the median and the quartiles."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(median), "low": float(low), "high": float(high)}


def encoder_gflop(config: Mapping[str, Any]) -> float:
    """Return the work of an image encoder for one image, without that on padded windows.

    A multiplication and an addition in a matrix product are two operations. For ViT-B at 1024 x
    1024 the result is 942.

    Args:
        config: Config of a `ViTDetBackbone`.
    """
    width, patch_size = config["hidden_size"], config["patch_size"]
    side, window = config["image_shape"][0] // patch_size, config["window_size"]
    num_tokens, num_layers = side * side, config["num_layers"]
    num_global = len(config["global_attention_layer_indices"])
    num_windowed = num_layers - num_global
    # Padding tokens are keys in the softmax of their window.
    padded_side = -(-side // window) * window
    products = num_layers * num_tokens * width * (4 * width + 2 * config["intermediate_dim"])
    attention = num_global * 2 * num_tokens**2 * width
    attention += num_windowed * 2 * padded_side**2 * window**2 * width
    positions = num_global * num_tokens * 2 * side * width
    positions += num_windowed * padded_side**2 * 2 * window * width
    output_width = config["num_output_channels"]
    neck = num_tokens * output_width * (width + 9 * output_width)
    patch_embedding = num_tokens * 3 * patch_size**2 * width
    return 2 * (patch_embedding + products + attention + positions + neck) / 1e9


def _find_baseline(participants: Sequence[Participant], plan: Plan) -> Participant | None:
    """Return the baseline of the plan, else the first participant of this project, else any."""
    running = [one for one in participants if one.is_running and one.seconds]
    running.sort(key=lambda one: (one.name != plan.baseline, not one.is_ours))
    return running[0] if running else None
