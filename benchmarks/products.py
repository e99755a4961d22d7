"""Products of a decoder layer of the 0.6B with NumPy: processor time by the number of columns.

    python -m benchmarks.products --out docs/benchmarks/products.json

A pass that writes a token of R texts multiplies R columns. Where R columns cost less than R times one column, batches
save time; no batch can save more. `plain` is NumPy's product of the whole matrix. OPENBLAS_NUM_THREADS says how many
threads there are; the seconds of all of them are counted.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from livecap.eval.output import store_figures
from livecap.eval.provenance import machine
from livecap.model.numpy.cores import n_cores
from livecap.model.numpy.products import Numbers, has_small_kernels, product

SHAPES = ((4096, 1024), (1024, 2048), (6144, 1024), (1024, 3072))
"""Queries, keys and values; out; gate and up; down."""
LAYERS = 6
"""Layers with weights of their own, too many for the cache."""
COLUMNS = (1, 2, 3, 4, 6, 8, 12, 16)

Multiply = Callable[[Numbers, Numbers, Numbers], object]
"""Writes weight [N, K] times x [K, n] into out [N, n]."""


def plain(weight: Numbers, x: Numbers, out: Numbers) -> None:
    """As NumPy does it."""
    np.matmul(weight, x, out=out)


def measure(columns: Sequence[int], rounds: int, shapes: Sequence[tuple[int, int]] = SHAPES) -> dict[str, Any]:
    """Milliseconds of processor time of one layer for each number of columns, the least of some rounds."""
    random = np.random.default_rng(0)
    layers = [[random.standard_normal(shape, dtype=np.float32) for shape in shapes] for _ in range(LAYERS)]
    ways: dict[str, Multiply] = {"livecap": product, "plain": plain}
    spent: dict[str, dict[str, float]] = {name: {} for name in ways}
    for _ in range(rounds):
        for n in columns:
            for name, multiply in ways.items():
                ms = _milliseconds(multiply, layers, n)
                spent[name][str(n)] = min(ms, spent[name].get(str(n), ms))
    one = spent["livecap"][str(columns[0])]
    return {
        "milliseconds": {name: {n: round(ms, 2) for n, ms in found.items()} for name, found in spent.items()},
        "of_one_by_one": {n: round(ms / one / int(n), 3) for n, ms in spent["livecap"].items()},
    }


def _milliseconds(multiply: Multiply, layers: Sequence[Sequence[Numbers]], n_columns: int) -> float:
    began = time.process_time()
    for layer in layers:
        for weight in layer:
            multiply(
                weight,
                np.ones((weight.shape[1], n_columns), np.float32),
                np.empty((len(weight), n_columns), np.float32),
            )
    return (time.process_time() - began) * 1e3 / len(layers)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and store; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.products",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    figures = measure(COLUMNS, options.rounds)
    print(figures)
    if options.out:
        common = {"machine": machine(), "threads": n_cores(), "load": os.getloadavg()[0]}
        store_figures(options.out, common | {"small_kernels": has_small_kernels()} | figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
