"""`livecap recover`, and the question at the next start: end sessions that a crash cut off."""

import argparse
from dataclasses import replace
from pathlib import Path

from livecap.archive.archive import Archive
from livecap.archive.recorded import RecordedSession
from livecap.cli.arguments import add_log_dir, add_setting, sessions_folder
from livecap.cli.sessions import length
from livecap.cli.terminal import ask, warn
from livecap.errors import LivecapError
from livecap.settings.fields import Settings
from livecap.text.printing import say

QUESTION = """\
  r      recover it: transcribe the rest of its sound
  k      keep it as it is
  d      delete it
  enter  ask again next time
> """


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `livecap recover`."""
    parser.add_argument("session", nargs="*", help="sessions to end (default: all that were cut off)")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--keep", action="store_true", help="keep the text that they have; decode nothing")
    way.add_argument("--delete", action="store_true", help="delete them with everything that belongs to them")
    parser.add_argument("--list", action="store_true", help="only list the sessions that were cut off")
    add_setting(parser, "model", help="use another model than the session did")
    add_log_dir(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    archive = Archive(sessions_folder(settings))
    names = [archive.folder_of(name).name for name in options.session] or archive.cut_off()
    if not names:
        say(f"No session in {archive.parent} was cut off.")
        return 0
    status = 0
    for name in names:
        folder = archive.folder_of(name)
        try:
            if options.list:
                say(about(folder))
            elif options.delete:
                say(f"Deleted {name}.{archive.delete(name).stays}")
            elif options.keep:
                _keep(folder)
            else:
                _decode(folder, settings, getattr(options, "model", None))
        except LivecapError as error:
            warn(str(error))
            status = 1
    return status


def offer(settings: Settings, n_newest: int) -> None:
    """Ask the user what to do with each session that was cut off; only prints errors.

    A session is recovered before the new one starts, whose sound would otherwise have to wait for the decoder.

    Args:
        n_newest: how many of the newest sessions are looked at.
    """
    archive = Archive(sessions_folder(settings))
    for name in archive.cut_off(n_newest):
        folder = archive.parent / name
        try:
            answer = ask(f"{about(folder)}\n{QUESTION}")[:1]
            if answer == "r":
                _decode(folder, settings, None)
            elif answer == "k":
                _keep(folder)
            elif answer == "d":
                say(f"Deleted {name}.{archive.delete(name).stays}")
        except LivecapError as error:
            warn(str(error))


def about(folder: Path) -> str:
    """A session that was cut off, described in one line."""
    from livecap.session.recovery import seconds_to_decode  # loads the model's code, which --help does without

    session = RecordedSession(folder)
    waiting = seconds_to_decode(session)
    sound = f", {length(waiting)} of sound not transcribed" if waiting >= 1 else ""
    said = f": {session.first_words[:60]}" if session.first_words else ""
    return f"The session {session.name} was cut off after {length(session.seconds)}{sound}{said}"


def _keep(folder: Path) -> None:
    from livecap.session.recovery import keep

    keep(folder)
    say(f"Kept {folder / 'transcript.md'} as it is.")


def _decode(folder: Path, settings: Settings, model: str | None) -> None:
    from livecap.cli.recognition import engine_settings
    from livecap.session.recovery import cut_off, recover

    chosen = cut_off(folder).started.settings  # fails before a model is downloaded
    model = model or str(chosen.get("model") or settings.model)
    settings = replace(
        settings,
        model=model,
        language=settings.language or chosen.get("language"),
        context=settings.context or str(chosen.get("context") or ""),
    )
    recognition = engine_settings(settings)
    say(f"Recovering {folder.name} with {model} ...", flush=True)
    recovery = recover(folder, recognition)
    found = f"{recovery.n_utterances} utterances from {recovery.seconds:.0f} s of sound"
    say(f"Recovered {found}: {folder / 'transcript.md'}")
