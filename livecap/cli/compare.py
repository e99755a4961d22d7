"""`livecap compare SESSION OTHER`: where two sessions of the same sound differ, word by word."""

import argparse
from dataclasses import asdict
from typing import Any

from livecap.archive.archive import Archive
from livecap.cli.arguments import SESSION, add_json, add_log_dir, sessions_folder
from livecap.cli.terminal import warn
from livecap.settings.fields import Settings
from livecap.text.printing import Style, say, say_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `livecap compare`, and `--against` of its old form `livecap replay SESSION --against OTHER`."""
    parser.usage = "%(prog)s [-h] [--json] [--log-dir DIR] SESSION OTHER"
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
        say_json(document, indent=2)
        return 0
    for name, (before, after) in _differences(asdict(expected.started), asdict(heard.started)).items():
        say(f"{name:24} {before} → {after}")
    for change in comparison.changes:
        label = f"{change.track}: " if change.track else ""
        pieces: list[str] = [f"[{expected.clock.at(change.sample, change.track)}] {label}", " ".join(change.before)]
        if change.expected:
            pieces += [" ", Style.RED, f"[-{' '.join(change.expected)}-]", Style.PLAIN]
        if change.heard:
            pieces += [" ", Style.GREEN, f"{{+{' '.join(change.heard)}+}}", Style.PLAIN]
        say(*pieces, *([" ", " ".join(change.after)] if change.after else []))
    n_words = comparison.n_words
    say(
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
