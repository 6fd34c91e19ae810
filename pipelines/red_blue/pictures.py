"""The pictures of a run: a confusion matrix and the regions a model decides for. Draws without a display."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import Pipeline

from .data import FEATURES, LABELS, TARGET
from .training import Trained

COLOURS = {"Blue": "#2f6fab", "Red": "#d3434a"}
PALE = {"Blue": "#d9e6f3", "Red": "#f8dcdc"}
_GRID = 220


def confusion_picture(trained: Trained, reference: pd.DataFrame) -> Figure:
    """Held-out points on the left, the reference set on the right."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    figure.suptitle(f"{trained.model_name}, sample {trained.sample}", fontweight="bold")
    parts = {"held-out points": trained.held_out, "reference set": reference}
    for axes, (title, frame) in zip(figure.subplots(1, 2), parts.items(), strict=True):
        counts = confusion_matrix(frame[TARGET], trained.model.predict(frame[FEATURES]), labels=LABELS)
        share = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
        axes.imshow(share, cmap="Greys", vmin=0, vmax=1.35)
        for (row, column), count in np.ndenumerate(counts):
            dark = share[row, column] > 0.6
            axes.text(
                column,
                row,
                f"{count:,}\n{share[row, column]:.1%}",
                ha="center",
                va="center",
                color="white" if dark else "black",
                fontsize=13,
            )
        axes.set(title=f"{title} ({len(frame):,})", xlabel="predicted", ylabel="true")
        axes.set_xticks(range(len(LABELS)), LABELS)
        axes.set_yticks(range(len(LABELS)), LABELS)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure


def regions_picture(trained: Trained, reference: pd.DataFrame) -> Figure:
    """What the model answers for every point of the plane, with the points it learned from and the reference
    set.
    """
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    figure.suptitle(
        f"{trained.model_name}, sample {trained.sample}: decision regions in raw coordinates",
        fontweight="bold",
    )
    everything = pd.concat([trained.training, trained.held_out, reference])
    low, high = everything[FEATURES].min() - 1, everything[FEATURES].max() + 1
    grid = _decide(trained.model, low, high)
    parts = {"learned from": trained.training, "reference set": reference}
    for axes, (title, frame) in zip(figure.subplots(1, 2, sharey=True), parts.items(), strict=True):
        axes.imshow(
            grid,
            origin="lower",
            extent=(low.iloc[0], high.iloc[0], low.iloc[1], high.iloc[1]),
            cmap=ListedColormap([PALE[label] for label in LABELS]),
            vmin=0,
            vmax=len(LABELS) - 1,
            aspect="auto",
            interpolation="nearest",
        )
        scatter_points(axes, frame)
        right = (trained.model.predict(frame[FEATURES]) == frame[TARGET]).mean()
        axes.set(title=f"{title} ({len(frame):,} points, {right:.1%} right)", xlabel=FEATURES[0])
    figure.axes[0].set_ylabel(FEATURES[1])
    figure.axes[0].legend(loc="upper left", frameon=True, markerscale=1.8)
    return figure


def scatter_points(axes, frame: pd.DataFrame) -> None:
    """Red and blue points as they are; smaller ones where there are many."""
    size = 14 if len(frame) <= 1_500 else 6
    for label in LABELS:
        points = frame[frame[TARGET] == label]
        axes.scatter(
            points[FEATURES[0]],
            points[FEATURES[1]],
            s=size,
            color=COLOURS[label],
            edgecolors="white",
            linewidths=0.25,
            alpha=0.85,
            label=label,
        )
    axes.spines[["top", "right"]].set_visible(False)


def _decide(model: Pipeline, low: pd.Series, high: pd.Series) -> np.ndarray:
    """An image of label numbers, rows from the bottom."""
    xs, ys = (np.linspace(low[name], high[name], _GRID) for name in FEATURES)
    plane = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    predicted = model.predict(pd.DataFrame(plane, columns=FEATURES))
    return np.searchsorted(LABELS, predicted).reshape(_GRID, _GRID)
