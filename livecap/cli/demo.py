"""`livecap demo`: a shipped recording through the embedded model."""

import argparse
from dataclasses import replace
from pathlib import Path

from livecap.cli.arguments import pace
from livecap.settings.fields import Settings


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """What may also stand before `demo` may stand behind it."""
    demo = commands.add_parser("demo", help="replay a shipped recording through the embedded model")
    absent = argparse.SUPPRESS
    form = demo.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", default=absent, help="print a line an utterance; no screen")
    form.add_argument("--json", action="store_true", default=absent, help="print one event a line")
    form.add_argument("--inline", action="store_true", default=absent, help="captions below the prompt")
    demo.add_argument("--pace", metavar="N", type=pace, default=absent, help="N times real time, or max")
    demo.add_argument("--model", metavar="NAME", default=absent, help="another model than tiny")
    demo.add_argument("--log-dir", metavar="DIR", type=Path, default=absent, help="put the session's folder into DIR")
    demo.set_defaults(run=_demo)


def _demo(options: argparse.Namespace, settings: Settings) -> int:
    from livecap.cli.run import run_session
    from livecap.shipped import demo_recording

    return run_session(replace(settings, replay=demo_recording(), model=options.model or "tiny"))
