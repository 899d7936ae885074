"""`write_plot`: times relative to the baseline, as bars."""

from pathlib import Path
from typing import Any

OUR_COLOR, OTHER_COLOR = "#3b6fb6", "#b9b9b9"


def write_plot(file: Path, results: list[dict[str, Any]]) -> bool:
    """Write an image with a panel for each job and a bar for each participant that ran.

    Args:
        file: Path of the image.
        results: Outputs of `measure_job`.

    Returns:
        False if there is nothing to plot or matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    panels = [(job, bars) for job in results if (bars := _slowest_first(job))]
    if not panels:
        return False
    heights = [len(bars) + 1.5 for _, bars in panels]
    figure = Figure(figsize=(9, 0.32 * sum(heights) + 0.5), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for axis, (job, bars) in zip(axes[:, 0], panels, strict=True):
        _draw_panel(axis, job, bars)
    figure.savefig(file, dpi=150)
    return True


def _slowest_first(job: dict[str, Any]) -> list[dict[str, Any]]:
    ran = [participant for participant in job["participants"] if participant["ratio"]]
    return sorted(ran, key=lambda participant: participant["ratio"]["median"], reverse=True)


def _draw_panel(axis: Any, job: dict[str, Any], bars: list[dict[str, Any]]) -> None:
    ratios = [bar["ratio"] for bar in bars]
    medians = [ratio["median"] for ratio in ratios]
    quartiles = [
        [ratio["median"] - ratio["low"] for ratio in ratios],
        [ratio["high"] - ratio["median"] for ratio in ratios],
    ]
    names = [_label(bar) for bar in bars]
    colors = [OUR_COLOR if bar["is_ours"] else OTHER_COLOR for bar in bars]
    drawn = axis.barh(names, medians, xerr=quartiles, color=colors, ecolor="#444444")
    axis.bar_label(drawn, [f" {median:.2f}" for median in medians], padding=4, fontsize=8)
    axis.axvline(1, color="#444444", linewidth=0.8)
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)
    side = job["image_size"]
    title = f"{job['description']} ({job['model_size']}, {side} x {side}, {job['dtype']})"
    axis.set_title(title, loc="left", fontsize=9)
    axis.set_xlabel(f"time relative to {job['baseline']}", fontsize=8)
    axis.tick_params(labelsize=8)


def _label(bar: dict[str, Any]) -> str:
    agreement = bar["agreement"]
    return bar["name"] if agreement is None or agreement["agrees"] else f"{bar['name']} (wrong)"
