"""`livecap eval`: recordings with reference text and word times, measured live and offline, as one table."""

import argparse

from livecap.cli.arguments import add_output, add_setting, value_of
from livecap.eval.figure_definitions import DEFINITIONS
from livecap.settings.fields import Settings
from livecap.settings.values import PATH, Number

ABOUT = """\
Run recordings through the stream as if they were live, and compare its text and its timing with a reference.

RECORDING is a 16 kHz mono file with its text beside it (NAME.txt) and, for latencies, its words with their start and
end in seconds (NAME.words.json: a list of {"word", "start", "end"}). `livecap eval recordings/*.flac` measures the
shipped recordings; docs/measuring.md explains how to make more. MODE is `default`, a chunk in seconds, or a name with
settings of the stream, such as "agree:chunk_seconds=1;commit.rule=agreement".

RECORDING may also be a data set, of any rate and format: a folder in LibriSpeech's layout, or a manifest with a JSON
object per line, such as {"sound": "a.wav", "text": "what is said", "language": "de", "speaker": "17"}. Then error rates
are printed by language, with 95% intervals; a stopped run continues where it stopped.

"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `livecap eval`."""
    parser.description, parser.epilog = ABOUT, DEFINITIONS
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    seconds, jobs = value_of(Number(0, 60, "seconds")), value_of(Number(1, whole=True))
    add = parser.add_argument
    add("recordings", nargs="+", type=value_of(PATH), metavar="RECORDING")
    add_setting(parser, "model", help="model to measure (default: tiny)")
    add_setting(parser, "dtype")
    add_setting(parser, "remote", help="measure the text of this server, live and offline, and its response times")
    add_setting(parser, "remote_model")
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
    add("--out", "--output", "-o", metavar="FILE", type=value_of(PATH), help="also write the JSON to FILE")
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
    amount = value_of(Number(1, 1e9, whole=True))
    add("--samples", metavar="N", type=amount, help="data sets: measure only N recordings, evenly over speakers")
    add(
        "--seed",
        metavar="N",
        type=value_of(Number(0, 1e9, whole=True)),
        default=1,
        help="data sets: seed of that choice",
    )
    add("--tell-language", action="store_true", help="data sets: tell the model the language of each recording")
    add("--results", metavar="FILE", type=value_of(PATH), help="data sets: file of finished recordings, so that "
        "a stopped run can continue (default: a file in livecap's folder for its state)")  # fmt: skip
    add("--goals", action="store_true", help="fail unless the stream reaches the goals of the project")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Measure and print the figures; returns the exit status, 1 if a bound is missed."""
    from livecap.cli.eval_run import run_eval  # loads the model's code

    return run_eval(options, settings)
