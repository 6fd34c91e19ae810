"""The red/blue data: ten samples whose scale shifts and one reference set, made from a seed. Reading CSV is
`csv_files`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

FEATURES = ["Coord_X", "Coord_Y"]
TARGET = "label"
LABELS = ["Blue", "Red"]
SEED = 42
SAMPLES = 10
SAMPLE_POINTS = 1_000
REFERENCE_POINTS = 5_000

_SPREAD = 2.0
_FARTHEST = 10.0
# Three standard deviations to either side: the blobs touch, but a line can tell them apart.
_APART = 3 * _SPREAD
_REFERENCE_STREAM = 1_000


@dataclass(frozen=True)
class DataSet:
    """Samples in their order and the reference set, each a frame with the columns Coord_X, Coord_Y, label.

    origin: `generated` or the folder it was read from; sources: per sample, then for the reference, the file.
    """

    samples: list[pd.DataFrame]
    reference: pd.DataFrame
    origin: str
    sources: list[str | None]

    @property
    def version(self) -> str:
        """12 hexadecimal digits that are the same wherever the same points came from."""
        digest = hashlib.sha256()
        for frame in [*self.samples, self.reference]:
            digest.update(np.ascontiguousarray(frame[FEATURES].to_numpy(dtype="<f8")).tobytes())
            digest.update("\n".join(frame[TARGET]).encode() + b"\0")
        return digest.hexdigest()[:12]


def generate(seed: int = SEED) -> DataSet:
    """All ten samples and the reference set of a seed."""
    samples = [sample(number, seed) for number in range(1, SAMPLES + 1)]
    return DataSet(samples, reference_set(seed), "generated", [None] * (SAMPLES + 1))


def sample(number: int, seed: int = SEED) -> pd.DataFrame:
    """Sample 1…10: 500 red points to the right and the top, 500 blue ones to the left and the bottom."""
    if not 1 <= number <= SAMPLES:
        raise ValueError(f"sample {number} does not exist: choose 1 to {SAMPLES}")
    return _blobs(np.random.default_rng([seed, number]), centres(number, seed), SAMPLE_POINTS // 2)


def reference_set(seed: int = SEED) -> pd.DataFrame:
    """5,000 fresh points, as many from the blobs of every sample: what a model is measured against."""
    per_blob = REFERENCE_POINTS // SAMPLES // 2
    parts = [
        _blobs(np.random.default_rng([seed, _REFERENCE_STREAM + number]), centres(number, seed), per_blob)
        for number in range(1, SAMPLES + 1)
    ]
    return pd.concat(parts, ignore_index=True)


def centres(number: int, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """Where the red and the blue blob of a sample lie, each [x, y] within [-10, 10]."""
    rng = np.random.default_rng([seed, _REFERENCE_STREAM * 2 + number])
    while True:
        red, blue = rng.uniform(0, _FARTHEST, 2), rng.uniform(-_FARTHEST, 0, 2)
        if np.linalg.norm(red - blue) >= _APART:
            return red, blue


def _blobs(rng: np.random.Generator, around: tuple[np.ndarray, np.ndarray], each: int) -> pd.DataFrame:
    points = np.concatenate([rng.normal(centre, _SPREAD, (each, 2)) for centre in around])
    frame = pd.DataFrame(points, columns=FEATURES)
    frame[TARGET] = ["Red"] * each + ["Blue"] * each
    return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)
