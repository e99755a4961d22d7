"""Voices that are alike are one speaker; the number of speakers is found, given or bounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.speakers.clustering import Items, centroids, cluster, in_order, unit


def voices(counts: list[int], seed: int = 0, spread: float = 0.5) -> tuple[Items, np.ndarray]:
    """Items of len(counts) speakers in random order, and the speaker of each."""
    random = np.random.default_rng(seed)
    means = np.eye(32)[: len(counts)]
    who = random.permutation(np.repeat(np.arange(len(counts)), counts))
    vectors = means[who] + spread * random.standard_normal((len(who), 32)) / np.sqrt(32)
    return Items(unit(vectors.astype(np.float32)), np.ones(len(who), np.float32)), who


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(0, 50))
def test_speakers_that_are_far_apart_are_found(counts, seed):
    items, who = voices(counts, seed)
    assert cluster(items, 0.4).tolist() == in_order(who).tolist()


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 20))
def test_the_number_can_be_given_and_bounded(n, wanted, seed):
    items, _ = voices([4] * n, seed)
    found = {
        name: len(set(cluster(items, 0.4, *bounds).tolist()))
        for name, bounds in {"exactly": (wanted, wanted), "at least": (wanted, None), "at most": (1, wanted)}.items()
    }
    assert found == {"exactly": min(wanted, 4 * n), "at least": max(n, min(wanted, 4 * n)), "at most": min(n, wanted)}


def test_there_are_no_more_speakers_than_items():
    items, _ = voices([1, 1])
    assert len(set(cluster(items, 0.4, 5, 5).tolist())) == 2
    assert cluster(Items(np.zeros((0, 32), np.float32), np.zeros(0, np.float32)), 0.4).tolist() == []


def slow_cluster(items: Items, alike: float) -> np.ndarray:
    """The same by its definition: the mean cosine of all pairs of members, weighted."""
    groups = [[i] for i in range(len(items.vectors))]
    cosines, weights = (items.vectors @ items.vectors.T).astype(float), items.weights

    def likeness(a: list[int], b: list[int]) -> float:
        pairs = np.outer(weights[a], weights[b])
        return float((cosines[np.ix_(a, b)] * pairs).sum() / pairs.sum())

    while len(groups) > 1:
        pairs = [(likeness(groups[i], groups[j]), i, j) for i in range(len(groups)) for j in range(i)]
        best, i, j = max(pairs)
        if best < alike:
            break
        groups[j] += groups.pop(i)
    labels = np.zeros(len(items.vectors), np.int64)
    for number, group in enumerate(groups):
        labels[group] = number
    return in_order(labels)


@pytest.mark.parametrize("alike", [0.0, 0.1, 0.3])
def test_the_answer_is_that_of_comparing_every_pair_of_clusters(alike):
    random = np.random.default_rng(3)
    vectors = unit(random.standard_normal((40, 6)).astype(np.float32))
    items = Items(vectors, random.uniform(0.5, 3, 40).astype(np.float32))
    assert cluster(items, alike).tolist() == slow_cluster(items, alike).tolist()


def test_a_mean_voice_is_weighted_and_of_length_one():
    items = Items(np.eye(2, dtype=np.float32), np.array([3, 1], np.float32))
    assert centroids(items, np.array([0, 0])) == pytest.approx(unit(np.array([[3, 1]], np.float32)))
