"""`livecap eval`: recordings with reference text and word times, measured live and offline, as one table."""

import argparse
import sys
from collections.abc import Callable

from livecap.cli.arguments import add_output, add_setting, value_of
from livecap.cli.terminal import warn
from livecap.eval.bounds import goals, missed, parse_bound
from livecap.eval.figure_definitions import DEFINITIONS
from livecap.eval.figures_table import recordings_table, table
from livecap.eval.output import as_json, store_figures, write_text
from livecap.model.checkpoint.catalogue import TINY
from livecap.settings.fields import Settings
from livecap.settings.values import PATH, Number
from livecap.text.printing import Style, draws, say, say_lines

ABOUT = """\
Run recordings through the stream as if they were live, and compare its text and its timing with a reference.

RECORDING is a 16 kHz mono file with its text beside it (NAME.txt) and, for latencies, its words with their start and
end in seconds (NAME.words.json: a list of {"word", "start", "end"}). `livecap eval recordings/*.flac` measures the
shipped recordings; docs/measuring.md explains how to make more. MODE is `default`, a chunk in seconds, or a name with
settings of the stream, such as "agree:chunk_seconds=1;commit.rule=agreement".

"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `livecap eval`."""
    parser.description, parser.epilog = ABOUT, DEFINITIONS
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    seconds, jobs = value_of(Number(0, 60, "seconds")), value_of(Number(1, whole=True))
    add = parser.add_argument
    add("recordings", nargs="+", type=value_of(PATH), metavar="RECORDING")
    add_setting(parser, "model", help="model to measure (default: tiny)")
    add(
        "--chunk",
        metavar="SECONDS",
        dest="chunks",
        action="append",
        help="measure the mode with this chunk; repeatable",
    )
    add("--mode", metavar="MODE", dest="modes", action="append", help="measure this mode; repeat to compare modes")
    add("--step-cost", metavar="SECONDS", type=seconds, help="assume this cost of a step instead of measuring it")
    add("--no-offline", action="store_true", help="skip the offline transcription and the comparison with it")
    add("--each", action="store_true", help="also print one line per recording")
    add("--jobs", metavar="N", type=jobs, default=1, help="number of recordings measured at once, each in a process")
    add_output(parser, "json", json="print JSON instead of the table")
    add("--out", metavar="FILE", type=value_of(PATH), help="also write the JSON to FILE")
    add(
        "--plot",
        metavar="FILE.svg",
        type=value_of(PATH),
        help="draw when words were emitted against when they were spoken",
    )
    add(
        "--require", metavar="BOUND", action="append", default=[],
        help='fail unless a figure is in bounds, such as "committed_revisions <= 0"',
    )  # fmt: skip
    add("--goals", action="store_true", help="fail unless the stream reaches the goals of the project")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Measure and print the figures; returns the exit status, 1 if a bound is missed."""
    from livecap.eval.evaluation import Plan, evaluate  # loads the model's code
    from livecap.eval.plot import plot

    names = (*(options.modes or []), *(options.chunks or [])) or ("default",)
    bounds = [parse_bound(text) for text in options.require]
    plan = Plan(
        getattr(options, "model", TINY),
        names,
        options.step_cost,
        not options.no_offline,
        options.jobs,
        bool(options.plot),
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
