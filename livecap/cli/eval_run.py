"""What `livecap eval` does: recordings in modes of the stream, or a data set by language. Loads the model's code."""

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from livecap.cli.recognition import session_recognition
from livecap.cli.terminal import warn
from livecap.engine import EngineSettings, Load
from livecap.errors import SettingsError
from livecap.eval.bounds import Bound, goals, missed, parse_bound
from livecap.eval.corpus import is_corpus, read_corpus, sampled
from livecap.eval.corpus_run import CorpusPlan, corpus_table, measure_corpus
from livecap.eval.evaluation import Plan, evaluate
from livecap.eval.figures_table import recordings_table, table
from livecap.eval.output import as_json, store_figures, write_text
from livecap.eval.plot import plot
from livecap.model.checkpoint.catalogue import TINY
from livecap.settings.fields import Settings
from livecap.settings.sources import user_folder
from livecap.text.printing import Style, draws, say, say_lines


def run_eval(options: argparse.Namespace, settings: Settings) -> int:
    """Measure and print the figures; returns the exit status, 1 if a bound is missed."""
    names = (*(options.modes or []), *(options.chunks or [])) or ("default",)
    bounds = [parse_bound(text) for text in options.require]
    if any(map(is_corpus, options.recordings)):
        return _run_corpus(options, settings, names, bounds)
    if options.samples or options.tell_language or options.results:
        raise SettingsError("--samples, --tell-language and --results are for data sets: a folder or a manifest.")
    remote = _remote(options, settings)
    plan = Plan(
        str(remote[0].model) if remote else getattr(options, "model", TINY),
        names,
        options.step_cost,
        not options.no_offline,
        options.jobs,
        bool(options.plot),
        settings.dtype,
        *(() if remote is None else (remote[0].remote, remote[1])),
    )
    result, parts = evaluate(plan, options.recordings, _progress(len(options.recordings)))
    if settings.output == "json":
        say_lines(as_json(result))
    else:
        if options.each:
            say_lines(recordings_table(result["recordings"]) + "\n")
        say_lines(table(result["all"]))
    if options.plot:
        write_text(options.plot, plot(parts))
    if options.out:
        store_figures(options.out, result)
    complaints = [
        line
        for column in result["all"]
        for line in missed(column, bounds + (goals(column["mode"]) if options.goals else []))
    ]
    for line in complaints:
        warn(line)
    return int(bool(complaints))


def _remote(options: argparse.Namespace, settings: Settings) -> tuple[EngineSettings, Load] | None:
    """The server to measure and what makes its engine; None without --remote.

    Raises:
        SettingsError: it cannot be used.
    """
    if "remote" not in options:
        return None
    return session_recognition(settings, live=False)


def _run_corpus(
    options: argparse.Namespace, settings: Settings, names: tuple[str, ...], bounds: Sequence[Bound]
) -> int:
    """Measure data sets."""
    others = [path for path in options.recordings if not is_corpus(path)]
    if others:
        raise SettingsError(f"{others[0]} is a recording; measure recordings and data sets one after the other.")
    if "remote" in options:
        raise SettingsError("--remote is for recordings, not for data sets.")
    if options.plot or options.goals:
        raise SettingsError("--plot and --goals are for recordings with word times, not for data sets.")
    found = [item for path in options.recordings for item in read_corpus(path)]
    items = sampled(found, options.samples, options.seed)
    model = getattr(options, "model", TINY)
    plan = CorpusPlan(
        model, names, options.step_cost, not options.no_offline, options.tell_language, options.jobs, settings.dtype
    )
    result = measure_corpus(plan, items, options.results or _results_of(options.recordings), _progress(len(items)))
    if result["measured_before"]:
        warn(f"{result['measured_before']} of {len(items)} recordings were measured before ({result['results']}).")
    if settings.output == "json":
        say_lines(as_json(result))
    else:
        if options.each:
            for row in result["recordings"]:
                rates = ", ".join(f"{name} {errors}/{units}" for name, (units, errors) in row["counts"].items())
                say(f"{row['name']}: {rates}")
            say()
        say_lines(corpus_table(result))
    if options.out:
        store_figures(options.out, result)
    complaints = missed(result["all"] | {"mode": model}, bounds)
    for line in complaints:
        warn(line)
    return int(bool(complaints))


def _results_of(paths: list[Path]) -> Path:
    """The file of finished recordings of these data sets."""
    named = "\n".join(str(path.resolve()) for path in paths)
    return user_folder("state") / "eval" / f"{hashlib.sha256(named.encode()).hexdigest()[:16]}.jsonl"


def _progress(n: int) -> Callable[[str], None]:
    """A function to call with the name of each finished recording; it shows the progress on a terminal only."""
    done = 0

    def tell(name: str) -> None:
        nonlocal done
        done += 1
        if draws(sys.stderr):
            end = "\n" if done == n else ""
            say(Style.REDRAW, f"{done} of {n}: {name}", end=end, file=sys.stderr, flush=True)

    return tell
