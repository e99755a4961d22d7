"""`livecap eval`: recordings with reference text and word times, live and offline, as one table."""

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

from livecap.errors import SettingsError
from livecap.settings.fields import Settings
from livecap.text.safety import printable

ABOUT = """\
Run recordings through the stream as if they were live, and hold what it says, and when, against the truth.

RECORDING is a 16 kHz mono file with its text beside it (NAME.txt) and, for latencies, its words and their start and end
in seconds (NAME.words.json: a list of {"word", "start", "end"}). `livecap eval recordings/*.flac` measures what is
shipped; docs/measuring.md tells how to make more. A mode is `default`, a chunk in seconds, or a name with settings
of the stream, such as "agree:step_seconds=1;commit.rule=agreement".

"""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`livecap eval RECORDING... [--model] [--chunk] [--mode] [--json] [--out] [--plot]`."""
    from livecap.eval.figure_definitions import DEFINITIONS

    parser = commands.add_parser(
        "eval",
        help="measure error rates and latencies on recordings with a reference",
        description=ABOUT,
        epilog=DEFINITIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    absent = argparse.SUPPRESS
    parser.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING")
    parser.add_argument("--model", metavar="NAME", dest="eval_model", default="tiny", help="default: tiny")
    parser.add_argument("--chunk", metavar="SECONDS", dest="chunks", action="append", help="a mode with this chunk")
    parser.add_argument("--mode", metavar="MODE", dest="modes", action="append", help="a mode; give several to compare")
    parser.add_argument(
        "--step-cost", metavar="SECONDS", type=_cost, help="take this as the cost of a step; no measuring"
    )
    parser.add_argument("--no-offline", action="store_true", help="leave out the offline text, and the gap to it")
    parser.add_argument("--each", action="store_true", help="also a line for each recording")
    parser.add_argument(
        "--jobs", metavar="N", type=int, default=1, help="recordings at once, in processes of their own"
    )
    parser.add_argument("--json", action="store_true", default=absent, help="print JSON instead of the table")
    parser.add_argument("--out", metavar="FILE", type=Path, help="also write the JSON to FILE")
    parser.add_argument("--plot", metavar="FILE.svg", type=Path, help="draw emission against speech")
    parser.add_argument(
        "--require",
        metavar="BOUND",
        action="append",
        default=[],
        help='fail unless it holds: "committed_revisions <= 0"',
    )
    parser.add_argument("--goals", action="store_true", help="fail unless the stream reaches what it is meant to")
    parser.set_defaults(run=_eval)


def _cost(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 60:
        raise argparse.ArgumentTypeError(f"{text!r} is no cost of a step: give seconds from 0 to 60")
    return seconds


def _eval(options: argparse.Namespace, settings: Settings) -> int:
    from livecap.cli.terminal import warn
    from livecap.eval.bounds import goals, missed, parse_bound
    from livecap.eval.evaluation import Plan, evaluate
    from livecap.eval.figures_table import recordings_table, table
    from livecap.eval.output import as_json, store_figures, write_text
    from livecap.eval.plot import plot

    names = [*(options.modes or []), *(options.chunks or [])] or ["default"]
    if options.jobs < 1:
        raise SettingsError(f"--jobs {options.jobs} is no number of processes: give 1 or more.")
    bounds = [parse_bound(text) for text in options.require]
    plan = Plan(
        options.eval_model, tuple(names), options.step_cost, not options.no_offline, options.jobs, bool(options.plot)
    )
    result, parts = evaluate(plan, options.recordings, _progress(len(options.recordings)))
    if options.json:
        print(as_json(result))
    else:
        if options.each:
            print(recordings_table(result["recordings"]) + "\n")
        print(table(result["all"]))
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
    """Told each recording that is done; a terminal shows it, a file does not."""
    done = 0

    def tell(name: str) -> None:
        nonlocal done
        done += 1
        if sys.stderr.isatty():
            end = "\n" if done == n else ""
            print(f"\r\033[K{done} of {n}: {printable(name)}", end=end, file=sys.stderr, flush=True)

    return tell
