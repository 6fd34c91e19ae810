"""Training: the scaler goes on from sample to sample, and the model takes raw points."""

import numpy as np
import pytest

from pipelines.red_blue import data, evaluation, training
from pipelines.red_blue.data import FEATURES, SEED, TARGET


@pytest.fixture(scope="module")
def points():
    return data.generate()


@pytest.fixture(scope="module")
def fourth(points):
    return training.train_sample(points, "knn", 4, SEED)


def test_the_scaler_of_a_sample_has_seen_every_sample_before_it(points):
    for trained in training.train_samples(points, "knn", list(range(1, 11)), SEED):
        seen = [training.split(frame, SEED)[0][FEATURES] for frame in points.samples[: trained.sample]]
        scaler = trained.model["scaler"]
        assert np.allclose(scaler.data_min_, np.min([frame.min() for frame in seen], axis=0))
        assert np.allclose(scaler.data_max_, np.max([frame.max() for frame in seen], axis=0))
        assert scaler.n_samples_seen_ == 800 * trained.sample


def test_one_sample_by_itself_gives_the_model_that_it_gives_among_all(points, fourth):
    among = next(t for t in training.train_samples(points, "knn", [2, 4, 5], SEED) if t.sample == 4)
    assert (
        among.model.predict(points.reference[FEATURES]) == fourth.model.predict(points.reference[FEATURES])
    ).all()
    assert (among.cv_accuracies == fourth.cv_accuracies).all()


def test_later_samples_do_not_change_an_earlier_model(points):
    steps = training.train_samples(points, "knn", [1, 2], SEED)
    first = next(steps)
    before = first.model["scaler"].data_max_.copy()
    next(steps)
    assert (first.model["scaler"].data_max_ == before).all()


def test_the_classifier_learns_from_its_own_sample_alone(points, fourth):
    assert len(fourth.training) == 800
    assert len(fourth.held_out) == 200
    assert fourth.model["classifier"].n_samples_fit_ == 800
    assert fourth.training.index.isin(points.samples[3].index).all()
    assert set(fourth.training.index).isdisjoint(fourth.held_out.index)


def test_raw_points_go_into_the_model(points, fourth):
    raw = points.reference[FEATURES]
    by_hand = fourth.model["classifier"].predict(fourth.model["scaler"].transform(raw))
    assert (fourth.model.predict(raw) == by_hand).all()


def test_forgetting_the_scaler_or_scaling_twice_would_be_noticed(points, fourth):
    """The trap: neither raises an error. The answers must differ on this data, or no test could see it."""
    raw, right = points.reference[FEATURES], fourth.model.predict(points.reference[FEATURES])
    scaled = raw.copy()
    scaled[FEATURES] = fourth.model["scaler"].transform(raw)
    assert (fourth.model["classifier"].predict(raw.to_numpy()) != right).sum() > 200
    assert (fourth.model.predict(scaled) != right).sum() > 1_000


def test_the_models_are_the_ones_that_were_asked_for():
    knn, forest = training.classifier("knn", 1), training.classifier("forest", 1)
    assert (knn.n_neighbors, knn.leaf_size) == (7, 40)
    assert (forest.n_estimators, forest.max_depth) == (250, 7)
    with pytest.raises(ValueError, match="choose knn or forest"):
        training.classifier("svm", 1)


def test_a_forest_of_the_same_seed_is_the_same(points):
    one, two = (training.train_sample(points, "forest", 1, SEED) for _ in range(2))
    assert (
        one.model.predict(points.reference[FEATURES]) == two.model.predict(points.reference[FEATURES])
    ).all()


@pytest.mark.parametrize("sample", [0, 11])
def test_a_sample_that_does_not_exist_is_refused(points, sample):
    with pytest.raises(ValueError, match="choose 1 to 10"):
        training.train_sample(points, "knn", sample, SEED)


def test_cross_validation_has_ten_folds_and_their_spread_is_told(fourth):
    assert len(fourth.cv_accuracies) == 10
    metrics = evaluation.held_out_metrics(fourth)
    assert metrics["cv_accuracy_mean"] == pytest.approx(fourth.cv_accuracies.mean())
    assert metrics["cv_accuracy_std"] == pytest.approx(fourth.cv_accuracies.std())


def test_the_figures_are_those_of_the_confusion_matrix(points, fourth):
    metrics = evaluation.reference_metrics(fourth, points.reference)
    predicted, truth = fourth.model.predict(points.reference[FEATURES]), points.reference[TARGET].to_numpy()
    precision = np.mean([(truth[predicted == label] == label).mean() for label in data.LABELS])
    recall = np.mean([(predicted[truth == label] == label).mean() for label in data.LABELS])
    assert metrics["reference_accuracy"] == pytest.approx((predicted == truth).mean())
    assert metrics["reference_precision"] == pytest.approx(precision)
    assert metrics["reference_recall"] == pytest.approx(recall)
    assert set(metrics) == {f"reference_{name}" for name in ("accuracy", "precision", "recall", "f1")}


def test_the_reference_set_tells_models_apart_that_look_alike_on_their_own_sample(points):
    good, narrow = (training.train_sample(points, "knn", sample, SEED) for sample in (2, 4))
    own = [evaluation.held_out_metrics(trained)["accuracy"] for trained in (good, narrow)]
    reference = [
        evaluation.reference_metrics(t, points.reference)["reference_accuracy"] for t in (good, narrow)
    ]
    assert abs(own[0] - own[1]) < 0.02
    assert reference[0] - reference[1] > 0.1
