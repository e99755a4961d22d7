"""Voices to speakers: agglomerative clustering of vectors, with the number of speakers found, given or bounded.

Pairs of clusters are merged while they are alike, the most alike first. How alike two are is the mean cosine of their
members (average linkage).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Items:
    """Voices to be clustered."""

    vectors: Vectors
    """[n, size], unit vectors."""
    weights: NDArray[np.float32]
    """[n] seconds of sound of each."""


def cluster(items: Items, alike: float, at_least: int = 1, at_most: int | None = None) -> Numbers:
    """The cluster of each item [n], numbered from 0 in order of appearance.

    Args:
        alike: the mean cosine above which two clusters are merged.
        at_least: fewer clusters are not made, as far as there are so many items.
        at_most: while there are more clusters, they are merged however different they are.
    """
    n = len(items.vectors)
    similar = (items.vectors @ items.vectors.T).astype(np.float64)
    np.fill_diagonal(similar, -np.inf)
    weights = items.weights.astype(np.float64).copy()
    labels = np.arange(n)
    nearest = similar.argmax(axis=1) if n else np.zeros(0, np.int64)
    best = similar[np.arange(n), nearest]
    n_clusters = n
    while n_clusters > max(1, at_least):
        a = int(best.argmax())
        if best[a] < alike and (at_most is None or n_clusters <= at_most):
            break
        b = int(nearest[a])
        share = weights[a] / (weights[a] + weights[b])
        row = share * similar[a] + (1 - share) * similar[b]
        row[[a, b]] = -np.inf
        similar[a], similar[:, a] = row, row
        similar[b], similar[:, b] = -np.inf, -np.inf
        weights[a] += weights[b]
        labels[labels == b] = a
        n_clusters -= 1
        best[b] = -np.inf
        nearest[a] = row.argmax()
        best[a] = row[nearest[a]]
        for i in np.flatnonzero(((nearest == a) | (nearest == b)) & (best > -np.inf)):
            if i != a:
                nearest[i] = similar[i].argmax()
                best[i] = similar[i, nearest[i]]
        better = row > best
        nearest[better], best[better] = a, row[better]
    return in_order(labels)


def in_order(labels: Numbers) -> Numbers:
    """The same labels, numbered from 0 in order of appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def centroids(items: Items, labels: Numbers) -> Vectors:
    """The mean voice of each cluster [n_clusters, size], as unit vectors."""
    sums = np.zeros((labels.max(initial=-1) + 1, items.vectors.shape[1]), np.float32)
    np.add.at(sums, labels, items.vectors * items.weights[:, None])
    return unit(sums)


def unit(vectors: Vectors) -> Vectors:
    """Vectors [..., size] of length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(1e-9))  # type: ignore[no-any-return]
