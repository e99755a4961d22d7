"""`livecap languages`: the languages that can be heard, with their codes and other names."""

import argparse

from livecap.cli.arguments import add_json
from livecap.settings.fields import Settings
from livecap.text.languages import ALIASES, DIALECT_ALIASES, DIALECTS, LANGUAGE_CODES
from livecap.text.printing import Style, say, say_json


def add_arguments(languages: argparse.ArgumentParser) -> None:
    """The options of `livecap languages`."""
    add_json(languages)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Print the languages and the Chinese dialects; returns the exit status."""
    if settings.output == "json":
        spoken = [{"name": name, "code": code, "aliases": list(ALIASES[name])} for name, code in LANGUAGE_CODES.items()]
        other_names = {name: [alias for alias, known in DIALECT_ALIASES.items() if known == name] for name in DIALECTS}
        dialects = [
            {"name": name, "language": language, "aliases": other_names[name]} for name, language in DIALECTS.items()
        ]
        say_json({"languages": spoken, "dialects": dialects}, indent=2)
        return 0
    width = max(map(len, LANGUAGE_CODES))
    for name, code in LANGUAGE_CODES.items():
        say(Style.BOLD, f"{name:{width}}", Style.PLAIN, f"  {code:3}  {', '.join(ALIASES[name])}".rstrip())
    say()
    say(f"Chinese dialects, written as Chinese or Cantonese: {', '.join(DIALECTS)}.")
    return 0
