"""`livecap compare SESSION OTHER`: where two sessions of the same sound differ, word by word."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from livecap.archive.archive import Archive
from livecap.cli.arguments import SESSION, add_json, add_log_dir, sessions_folder
from livecap.cli.terminal import warn
from livecap.settings.fields import Settings
from livecap.text.safety import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `livecap compare`, and `--against` of its old form `livecap replay SESSION --against OTHER`."""
    parser.add_argument("session", metavar="SESSION", help=SESSION)
    parser.add_argument(
        "other", metavar="OTHER", nargs="?", help="the session that counts as correct, named in the same way"
    )
    parser.add_argument("--against", dest="other_by_flag", metavar="OTHER", help=argparse.SUPPRESS)
    add_json(parser)
    add_log_dir(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Print the differences; returns the exit status."""
    from livecap.eval.compare import compare  # loads NumPy

    names = [name for name in (options.other, options.other_by_flag) if name is not None]
    if len(names) != 1:
        warn("Name two sessions: livecap compare SESSION OTHER.")
        return 2
    archive = Archive(sessions_folder(settings))
    heard, expected = archive.open(options.session), archive.open(names[0])
    comparison = compare(heard, expected)
    if settings.output == "json":
        document = {
            "session": heard.name,
            "against": expected.name,
            "word_error_rate": round(comparison.word_error_rate, 4),
            "headers": _differences(asdict(expected.started), asdict(heard.started)),
            **asdict(comparison),
        }
        print(json.dumps(document, ensure_ascii=False, indent=2))
        return 0
    for name, (before, after) in _differences(asdict(expected.started), asdict(heard.started)).items():
        print(f"{name:24} {printable(str(before))} → {printable(str(after))}")
    minus, plus, plain = ("\033[31m", "\033[32m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
    for change in comparison.changes:
        label = f"{printable(change.track)}: " if change.track else ""
        parts = [
            " ".join(change.before),
            f"{minus}[-{' '.join(change.expected)}-]{plain}" if change.expected else "",
            f"{plus}{{+{' '.join(change.heard)}+}}{plain}" if change.heard else "",
            " ".join(change.after),
        ]
        print(f"[{expected.clock.at(change.sample, change.track)}] {label}{' '.join(part for part in parts if part)}")
    n_words = comparison.n_words
    print(
        f"{comparison.word_error_rate:.1%} of {n_words} words differ: {comparison.n_substituted} substituted, "
        f"{comparison.n_missing} missing, {comparison.n_invented} added"
    )
    return 0


def _differences(expected: dict[str, Any], heard: dict[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted name to (expected, heard) for the values in which two log headers differ, apart from names and times."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in {**expected, **heard}:
        before, after = expected.get(name), heard.get(name)
        if name in ("session", "wall_time", "log_dir") or before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            found |= _differences(before, after, f"{prefix}{name}.")
        else:
            found[prefix + name] = (before, after)
    return found
