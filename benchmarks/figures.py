"""`contender_figures`: what the report says of a contender in a job."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.agreement import Agreement
from benchmarks.member import Member


def contender_figures(
    member: Member,
    *,
    baseline: Member | None,
    product_seconds: Sequence[float],
    product_work: float,
    work: float | None,
    agreement: Agreement | None,
) -> dict[str, Any]:
    """Figures of a contender; those that it has not reached are None.

    Args:
        member: after its rounds.
        baseline: what it is compared with, round by round.
        product_seconds: of the matrix product in the same rounds.
        product_work: of the matrix product, GFLOP.
        work: of the task, GFLOP, if known.
        agreement: of its outputs with those of the reference.
    """
    figures: dict[str, Any] = {
        "name": member.name,
        "status": member.status,
        "reason": member.reason,
        "seconds": None,
        "ratio": None,
        "matrix_share": None,
        "first_seconds": member.first_seconds or None,
        "memory": member.memory or None,
        "agreement": asdict(agreement) if agreement else None,
    }
    if not member.is_running or not member.seconds:
        return figures
    seconds = np.array(member.seconds)
    figures["seconds"] = spread(seconds) | {"rounds": list(member.seconds)}
    if baseline is not None:
        figures["ratio"] = spread(seconds / np.array(baseline.seconds))
    if work is not None and len(product_seconds) == len(seconds):
        figures["matrix_share"] = spread(
            work / seconds / (product_work / np.array(product_seconds))
        )
    return figures


def spread(values: np.ndarray) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(median), "low": float(low), "high": float(high)}
