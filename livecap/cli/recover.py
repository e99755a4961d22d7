"""`livecap recover`, and the question at the next start: end sessions that a crash cut off."""

import argparse
from dataclasses import replace
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from types import ModuleType

from livecap.archive.archive import Archive
from livecap.archive.recorded import RecordedSession
from livecap.archive.rescued import rescued
from livecap.cli.arguments import add_log_dir, add_setting, sessions_folder
from livecap.cli.terminal import ask, warn
from livecap.errors import LivecapError
from livecap.settings.fields import Settings
from livecap.text.printing import say
from livecap.text.scripts import shortened
from livecap.text.units import length_of_time
from livecap.transcript import Notice

QUESTION = """\
  r      recover it: transcribe the rest of its sound
  k      keep it as it is
  d      delete it
  enter  ask again next time
"""
CHOSEN = ("model", "language", "context")
"""Options that count instead of what the session was recorded with."""
FOR_ALL = """\
  a      recover this one and the {n} others
  n      not now: ask about all {all} next time
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `livecap recover`."""
    parser.add_argument(
        "session", nargs="*", metavar="SESSION", help="sessions to finish (default: all that were cut off)"
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--keep", action="store_true", help="keep the text that they have; decode nothing")
    way.add_argument("--delete", action="store_true", help="delete them with everything that belongs to them")
    parser.add_argument("--list", action="store_true", help="only list the sessions that were cut off")
    add_setting(parser, "model", help="use another model than the session did")
    add_setting(parser, "remote", help="send their sound to this server, which transcribes it")
    add_setting(parser, "remote_model")
    add_log_dir(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    archive = Archive(sessions_folder(settings))
    folders = [archive.folder_of(name) for name in options.session]
    folders = folders or [archive.parent / name for name in archive.cut_off()]
    if not folders:
        say(f"No session in {archive.parent} was cut off.")
        return 0
    status = 0
    for folder in folders:
        try:
            if (options.list or options.delete) and rescued(folder) is None:
                _recovery().cut_off(folder)  # fails for a session that has an end
            if options.list:
                say(about(folder))
            elif not options.delete and _took_back(folder):
                continue
            elif options.delete:
                say(f"Deleted {folder.name}.{archive.delete(str(folder)).stays}")
            elif options.keep:
                _keep(folder)
            else:
                _decode(folder, settings, **{name: getattr(options, name, None) for name in CHOSEN})
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
    names = [name for name in archive.cut_off(n_newest) if not _needs_no_answer(archive.parent / name)]
    answer = ""
    while names:
        name = names.pop(0)
        folder = archive.parent / name
        try:
            if answer != "a":
                answer = _answer(about(folder), len(names))
            if answer in ("r", "a"):
                _decode(folder, settings)
            elif answer == "k":
                _keep(folder)
            elif answer == "d":
                say(f"Deleted {name}.{archive.delete(name).stays}")
            elif answer == "n":
                return
        except LivecapError as error:
            warn(str(error))


def _needs_no_answer(folder: Path) -> bool:
    """True if nothing is left to ask about a session: it was brought back, or deleted since nothing was heard in it."""
    try:
        return _took_back(folder) or bool(_recovery().delete_if_empty(folder))
    except LivecapError as error:
        warn(str(error))
        return True


def _took_back(folder: Path) -> bool:
    """Bring back a session whose disk failed; True if it is whole now."""
    source = _recovery().take_back(folder)
    if source is None:
        return False
    say(f"The disk of the session {folder.name} failed while it ran. Its text was brought back from {source}.")
    return RecordedSession(folder).ended is not None


def _answer(sentence: str, n_others: int) -> str:
    """The first letter of a valid answer about a session; "" to ask again next time."""
    valid = ("r", "k", "d", "a", "n") if n_others else ("r", "k", "d")
    choices = QUESTION + (FOR_ALL.format(n=n_others, all=n_others + 1) if n_others else "")
    question = f"{fill(sentence, get_terminal_size().columns - 1)}\n{choices}> "
    while (answer := ask(question)[:1]) and answer not in valid:
        question = f"Please type {', '.join(valid[:-1])} or {valid[-1]}, or press Enter to be asked next time.\n> "
    return answer


def _recovery() -> ModuleType:
    from livecap.session import recovery  # loads the model's code, which --help does without

    return recovery


def about(folder: Path) -> str:
    """A session that was cut off, described in one line."""
    if (source := rescued(folder)) is not None:
        return f"The disk of the session {folder.name} failed while it ran. Its text is in {source}"
    session = RecordedSession(folder)
    waiting = _recovery().seconds_to_decode(session)
    sound = f", {length_of_time(waiting)} of sound not transcribed" if waiting >= 1 else ""
    said = f": “{shortened(session.first_words, 60)}”" if session.first_words else ""
    name = f"“{session.title}” ({session.name})" if session.title else session.name
    return f"The session {name} was cut off after {length_of_time(session.seconds)}{sound}{said}"


def _keep(folder: Path) -> None:
    _recovery().keep(folder)
    say(f"Kept {folder / 'transcript.md'} as it is.")


def _decode(
    folder: Path, settings: Settings, model: str | None = None, language: str | None = None, context: str | None = None
) -> None:
    """Recover a session as it was heard, except for what is given here."""
    from livecap.cli.recognition import session_recognition

    chosen = _recovery().cut_off(folder).started.settings  # fails before a model is downloaded
    model = model or _text(chosen.get("model")) or settings.model
    settings = replace(
        settings,
        model=model,
        language=language or _text(chosen.get("language", settings.language)) or None,
        context=context or _text(chosen.get("context", settings.context)),
    )
    recognition, load_engine = session_recognition(settings, live=False)
    say(f"Recovering {folder.name} with {recognition.description} ...", flush=True)
    recovery = _recovery().recover(folder, recognition, _tell, load_engine)
    n = recovery.n_utterances
    found = f"Recovered {n} utterance{'s' * (n != 1)} from {recovery.seconds:.0f} s of sound"
    say(f"{found if n else 'Finished; no more speech was found'}: {folder / 'transcript.md'}")


def _tell(fact: object) -> None:
    """What the recovery has to say."""
    if isinstance(fact, Notice):
        warn(fact.message)


def _text(value: object) -> str:
    """A setting of a log, which any program may have written."""
    return value if isinstance(value, str) else ""
