"""`livecap replay SESSION --against SESSION`: what two runs heard differently, word by word."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from livecap.cli.arguments import add_log_dir, sessions_folder
from livecap.settings.fields import Settings
from livecap.text.safety import printable


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`livecap replay SESSION --against SESSION [--json]`."""
    replay = commands.add_parser("replay", help="compare what two sessions heard of the same sound")
    replay.add_argument("session", help="its name, a part of its title, a path, or last")
    replay.add_argument("--against", metavar="SESSION", required=True, help="the session that counts as right")
    replay.add_argument("--json", dest="as_json", action="store_true", help="as JSON")
    add_log_dir(replay)
    replay.set_defaults(run=_replay)


def _replay(options: argparse.Namespace, settings: Settings) -> int:
    from livecap.archive.archive import Archive
    from livecap.eval.compare import compare

    archive = Archive(sessions_folder(settings))
    heard, expected = archive.open(options.session), archive.open(options.against)
    comparison = compare(heard, expected)
    if options.as_json or options.json:
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
        f"{comparison.word_error_rate:.1%} of {n_words} words differ: {comparison.n_substituted} other, "
        f"{comparison.n_missing} missing, {comparison.n_invented} more"
    )
    return 0


def _differences(expected: dict[str, Any], heard: dict[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted name to (expected, heard) of everything in two headers that differs and matters."""
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
