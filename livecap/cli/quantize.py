"""`livecap quantize`: a packed copy of a model, smaller and faster on a GPU, with what it costs in errors."""

import argparse
from collections.abc import Sequence

from livecap.cli.arguments import add_json, value_of
from livecap.cli.terminal import warn
from livecap.settings.fields import Settings
from livecap.settings.values import PATH
from livecap.text.printing import say, say_json
from livecap.text.units import size

ABOUT = """\
Write a copy of MODEL whose matrices are packed, in the layout that the MLX community uses.

The default is 8 bit. Published results with 4 bit are far worse outside English (Korean: 20.0% errors instead
of 6.9%). Give RECORDINGs with their text beside them (NAME.flac, NAME.txt) to measure their error rate before and
after. A processor unpacks the weights again, so packing saves disk space there, but neither time nor memory.
"""
BITS = (8, 6, 5, 4)
GROUP_SIZES = (32, 64, 128)


def add_arguments(quantize: argparse.ArgumentParser) -> None:
    """The options of `livecap quantize`."""
    quantize.description = ABOUT
    quantize.formatter_class = argparse.RawDescriptionHelpFormatter
    add = quantize.add_argument
    add("source", metavar="MODEL", help="a folder, a repository, a short name or tiny")
    add(
        "recordings",
        nargs="*",
        default=[],
        type=value_of(PATH),
        metavar="RECORDING",
        help="measure the error rate on these",
    )
    add("--bits", type=int, choices=BITS, default=8, help="bits of the decoder's weights (default: 8)")
    add("--encoder-bits", type=int, choices=BITS, help="bits of the audio encoder's weights (default: not packed)")
    add("--embedding-bits", type=int, choices=BITS, help="bits of the embedding table (default: --bits, but 8 where "
        "it is the output head too: in published results fewer ruin the text of the 0.6B)")  # fmt: skip
    add("--group-size", type=int, choices=GROUP_SIZES, default=64, help="weights that share a scale (default: 64)")
    add("-o", "--output", dest="target", metavar="DIR", type=value_of(PATH), required=True, help="the new folder")
    add_json(quantize)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Pack, measure and report; returns the exit status.

    Raises:
        LivecapError: no such model or recording, or the folder cannot be written.
    """
    from livecap.cli.pack_report import packed_report  # loads MLX

    report = packed_report(options)
    if settings.output == "json":
        say_json(report, indent=2)
        return 0
    say(f"{report['model']} is packed in {report['folder']}.")
    _say_change("on disk", [report[when]["disk_bytes"] for when in ("before", "after")])
    _say_change("weights in memory on a GPU", [report[when]["memory_bytes"] for when in ("before", "after")])
    if "wer" in report["before"]:
        before, after = (report[when]["wer"] for when in ("before", "after"))
        say(f"word errors on {report['words']} words: {before:.1%} before, {after:.1%} after")
    else:
        say("The error rate was not measured: give recordings with their text to measure it.")
    for notice in report["notices"]:
        warn(notice)
    return 0


def _say_change(what: str, sizes: Sequence[int]) -> None:
    say(f"{what}: {size(sizes[0])} before, {size(sizes[1])} after ({sizes[1] / max(sizes[0], 1):.0%})")
