"""The two layers of the classifier against what their closed forms and definitions promise."""

from __future__ import annotations

import numpy as np
import pytest

from responder.classifier import ridge
from responder.classifier.corpus import matrix_of
from responder.classifier.familiarity import beyond, table
from responder.classifier.folds import Cosines
from responder.classifier.logistic import PENALTY, Regression
from responder.classifier.model import Thresholds
from responder.classifier.neighbours import Neighbours, closeness, members
from responder.classifier.train import Answered, lowest_proven
from responder.classifier.vectors import Floats, Sparse

ROWS, COLUMNS = 40, 12


def sparse(dense: Floats) -> Sparse:
    rows, columns = np.nonzero(dense)
    return Sparse(rows, columns, dense[rows, columns], len(dense))


@pytest.fixture
def dense() -> Floats:
    chance = np.random.default_rng(7)
    values = chance.random((ROWS, COLUMNS)) * (chance.random((ROWS, COLUMNS)) < 0.4)
    return values.astype(np.float32)


def test_weights_without_a_writer_are_those_of_a_fit_that_never_saw_him(dense: Floats) -> None:
    targets = np.where(dense[:, :2] > 0.3, 1, -1).astype(np.float32)
    importance = np.linspace(0.5, 1, ROWS, dtype=np.float32)
    folds = ["a" if i % 3 == 0 else "b" if i % 3 == 1 else "c" for i in range(ROWS)]
    whole = ridge.fit(sparse(dense), COLUMNS, targets, importance, folds)
    others = np.array([fold != "b" for fold in folds])
    alone = ridge.fit(
        sparse(dense[others]),
        COLUMNS,
        targets[others],
        importance[others],
        [fold for fold in folds if fold != "b"],
    )
    assert set(whole.without) == {"a", "b", "c"}
    assert np.linalg.norm(whole.without["b"] - alone.weights) <= 0.02 * np.linalg.norm(alone.weights)


def test_weights_of_all_texts_solve_the_normal_equations(dense: Floats) -> None:
    targets = np.where(dense[:, :2] > 0.3, 1, -1).astype(np.float32)
    importance = np.linspace(0.5, 1, ROWS, dtype=np.float32)
    found = ridge.fit(sparse(dense), COLUMNS, targets, importance, ["a"] * (ROWS // 2) + ["b"] * (ROWS // 2))
    weighted = dense.T * importance
    expected = np.linalg.solve(weighted @ dense + ridge.PENALTY * np.eye(COLUMNS), weighted @ targets)
    np.testing.assert_allclose(found.weights, expected, atol=2e-3)


def test_nearest_texts_are_the_same_by_postings_and_by_matrix(dense: Floats) -> None:
    labels = (np.arange(ROWS)[:, None] % 2 == np.arange(2)).astype(np.int8)
    texts = Neighbours.of(sparse(dense), COLUMNS, labels)
    matrix = matrix_of(sparse(dense), COLUMNS)
    expected = texts.closeness(sparse(dense[:5]))
    np.testing.assert_allclose(
        closeness(Cosines(matrix, ROWS).of(range(5)), members(labels)), expected, atol=1e-5
    )


def test_logistic_weights_leave_the_penalised_loss_without_slope(dense: Floats) -> None:
    inputs = dense[:, :4].astype(np.float64)
    right = inputs[:, 0] > inputs[:, 1]
    model = Regression(inputs, right).fit()
    error = model.probability(inputs) - right
    standard = (inputs - model.mean) / model.scale
    np.testing.assert_allclose(standard.T @ error + PENALTY * model.weights, 0, atol=1e-3)
    assert abs(error.sum()) < 1e-3


def test_logistic_regression_of_chosen_rows_does_not_depend_on_the_answers_of_others(dense: Floats) -> None:
    inputs = dense[:, :4].astype(np.float64)
    right, chosen = inputs[:, 0] > inputs[:, 1], np.arange(ROWS) < ROWS // 2
    other = right ^ ~chosen
    one, two = (Regression(inputs, answers).fit_to(chosen) for answers in (right, other))
    np.testing.assert_allclose(one.weights, two.weights, atol=1e-3)
    assert one.bias == pytest.approx(two.bias, abs=1e-3)


def test_a_feature_is_unseen_in_a_topic_or_said_for_staff_only_as_the_texts_have_it() -> None:
    counts = np.array([[3, 0, 0], [0, 0, 4], [0, 0, 0]], dtype=np.float32)  # two topics, staff
    found = table(counts, np.array([10, 10, 20], dtype=np.float32)).reshape(3, 5, 2)
    unseen, nowhere, only_staff, ratio, against = found.transpose(1, 0, 2)
    assert unseen.tolist() == [[0, 1], [1, 1], [1, 1]]
    assert nowhere.tolist() == [[0, 0], [0, 0], [1, 1]]
    assert only_staff.tolist() == [[0, 0], [1, 1], [0, 0]]
    assert ratio[0, 0] > 0 > ratio[1, 0]
    assert against[0, 0] == 0 and against[1, 0] == ratio[1, 0]


def thresholds(texts: list[tuple[float, str, int]], staff: dict[str, int]) -> Thresholds:
    """`texts`: confidence, "right", "wrong" or the writer of a leaked text, and how many such texts."""
    answered = [
        Answered(confidence, kind == "right", kind in staff, kind)
        for confidence, kind, times in texts
        for _ in range(times)
    ]
    return lowest_proven(answered, staff, target_error=0.02)


def test_the_threshold_lies_above_the_errors_that_the_target_does_not_allow() -> None:
    limits = thresholds([(0.99, "right", 995), (0.9, "wrong", 30), (0.95, "wrong", 5)], {"a": 1000})
    assert 0.9 < limits.auto <= 0.95
    assert (limits.sample, limits.errors) == (1000, 5)


def test_few_texts_for_staff_do_not_hide_how_many_of_them_would_be_answered() -> None:
    texts = [(0.99, "right", 1000), (0.8, "a", 5), (0.8, "b", 5)]
    assert thresholds(texts, {"a": 1000, "b": 1000}).auto == 0.5
    limits = thresholds(texts, {"a": 50, "b": 50})
    assert limits.auto > 0.8 and limits.leak == 0


def test_writers_of_easy_texts_do_not_hide_the_leak_of_a_hard_one() -> None:
    texts = [(0.99, "right", 1000), (0.8, "a", 15)]
    assert thresholds(texts, {"a": 1000}).auto == 0.5
    assert thresholds(texts, {"a": 200, "b": 800}).auto > 0.8


def test_a_sample_too_small_to_prove_the_target_leaves_everything_to_a_person() -> None:
    assert thresholds([(0.99, "right", 50)], {"a": 100}).auto > 1


def test_what_the_leading_topic_leaves_unsaid_counts_for_the_topics_that_say_it() -> None:
    counts = np.array([[3, 7, 9], [0, 7, 9], [5, 5, 0]], dtype=np.float32)  # two topics, staff
    ahead, unsaid = beyond(counts, np.array([10, 10, 20], dtype=np.float32), np.array([0, 0, 0]))
    assert (ahead[:, 0] == 0).all() and (unsaid[:, 0] == 0).all()
    assert ahead[1, 1] > ahead[0, 1] > 0 == ahead[2, 1]
    assert unsaid[:, 1].tolist() == pytest.approx([0, np.log(8), 0])
