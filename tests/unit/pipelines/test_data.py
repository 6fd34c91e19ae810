"""The made points: the same for a seed, in the promised shapes, and at a scale that shifts."""

import numpy as np
import pandas as pd
import pytest

from pipelines.red_blue import data


def test_the_same_seed_gives_the_same_points():
    pd.testing.assert_frame_equal(data.sample(3, 7), data.sample(3, 7))
    pd.testing.assert_frame_equal(data.reference_set(7), data.reference_set(7))
    assert data.generate(7).version == data.generate(7).version


def test_another_seed_gives_other_points_and_another_data_version():
    assert not data.sample(3, 7).equals(data.sample(3, 8))
    assert data.generate(7).version != data.generate(8).version


def test_the_points_of_the_default_seed_never_change():
    """Whoever measures the served accuracy over the reference set relies on it."""
    assert data.generate().version == "6705ec699384"


def test_there_are_ten_samples_of_1000_points_and_5000_to_measure_with():
    made = data.generate()
    assert [len(sample) for sample in made.samples] == [1_000] * 10
    assert len(made.reference) == 5_000
    for frame in [*made.samples, made.reference]:
        assert list(frame.columns) == ["Coord_X", "Coord_Y", "label"]
        assert frame["label"].value_counts().to_dict() == {"Red": len(frame) / 2, "Blue": len(frame) / 2}
        assert frame[data.FEATURES].dtypes.eq("float64").all()
        assert np.isfinite(frame[data.FEATURES]).all(axis=None)


@pytest.mark.parametrize("number", range(1, 11))
def test_red_lies_to_the_right_and_the_top_of_blue(number):
    red, blue = data.centres(number)
    assert (red > blue).all()
    assert np.abs([red, blue]).max() <= 10
    means = data.sample(number).groupby("label")[data.FEATURES].mean()
    assert np.allclose(means.loc["Red"], red, atol=0.5)
    assert np.allclose(means.loc["Blue"], blue, atol=0.5)


def test_the_scale_shifts_from_sample_to_sample():
    """Later samples reach outside of the first one's range: a scaler that knew only that would be wrong."""
    first, *later = data.generate().samples
    low, high = first[data.FEATURES].min(), first[data.FEATURES].max()
    outside = [((s[data.FEATURES] < low) | (s[data.FEATURES] > high)).any(axis=1).mean() for s in later]
    assert sum(share > 0.1 for share in outside) >= 7, outside


def test_the_reference_set_holds_no_point_of_the_samples():
    made = data.generate()
    seen = set(map(tuple, pd.concat(made.samples)[data.FEATURES].to_numpy()))
    assert seen.isdisjoint(map(tuple, made.reference[data.FEATURES].to_numpy()))


@pytest.mark.parametrize("number", [0, 11, -1])
def test_a_sample_that_does_not_exist_is_refused(number):
    with pytest.raises(ValueError, match="choose 1 to 10"):
        data.sample(number)
