"""What the keys do where a transcript is read: in any session, in one that runs, in one that is over."""

from textual.binding import Binding


def command(
    name: str, keys: str, label: str, about: str, *, action: str = "", hinted: bool = False, shown: str | None = None
) -> Binding:
    """A command with its keys.

    Args:
        name: in the settings file.
        keys: by default, comma between.
        label: in the footer and the palette.
        about: a sentence for the help.
        action: the method that does it; without one, of the same name.
        hinted: the footer names it.
        shown: the key as the footer writes it, where that is not its name.
    """
    return Binding(keys, action or name, label, show=hinted, key_display=shown, tooltip=about, id=name)


READING = [
    command("search", "slash,ctrl+f", "Search", "Search what was said", hinted=True, shown="/"),
    command("next", "n", "Next", "Go to the next place that was found", action="match(1)"),
    command("previous", "N", "Previous", "Go to the place found before", action="match(-1)"),
    command("copy", "y", "Copy", "Copy what is selected, or the last utterance"),
    command("times", "t", "Times", "Other times beside the text, or none"),
    command("compact", "z", "Compact", "More text: no empty rows and no bars"),
    command("follow", "end,G", "Follow", "Go to the end, and stay there"),
    command("dismiss", "escape", "Dismiss", "Close a search, a question, a notice", action="dismiss_one"),
]
"""What every transcript has."""

RUNNING = [
    command("pause", "space", "Pause", "Stop listening; the clock of the session stands still", hinted=True),
    command("resume", "space", "Resume", "Listen again", hinted=True),
    command("mark", "m", "Mark", "Mark this moment; type a note if you like", hinted=True),
    *READING,
    command("captions", "c", "Captions", "A few large lines, for a second screen", hinted=True),
    command("mute", "u", "Mute", "Hear nothing, but let the clock go on"),
    command("unmute", "u", "Unmute", "Hear again"),
    command("paragraph", "enter", "New paragraph", "End this utterance now"),
    command("seek-back", "left", "Back 5 s", "Go 5 s back in a recording", action="seek(-5)"),
    command("seek-on", "right", "On 5 s", "Go 5 s on in a recording", action="seek(5)"),
    command(
        "seek-far-back", "shift+left,less_than_sign", "Back 30 s", "Go 30 s back in a recording", action="seek(-30)"
    ),
    command("seek-far-on", "shift+right,greater_than_sign", "On 30 s", "Go 30 s on in a recording", action="seek(30)"),
    command("device", "d", "Device", "Listen to another device"),
    command("model", "M", "Model", "Run another model"),
    command("language", "l", "Language", "Force a language, or none"),
    command("context", "w", "Words", "Name the words to expect"),
    command("more-lines", "plus", "More lines", "One caption more", action="caption_lines(1)"),
    command("fewer-lines", "minus", "Fewer lines", "One caption less", action="caption_lines(-1)"),
    command("export", "e", "Export", "Write the transcript in another format"),
    command("diagnostics", "i", "Diagnostics", "Latency, memory, gaps, the log"),
    command("sessions", "s", "Sessions", "Past sessions"),
    command("quit", "q", "Quit", "End the session in order, and leave", hinted=True),
]
"""Of a session that runs, in the order of the footer: those with a hint are six."""

PAST = [
    *READING,
    command("session.play", "space,enter", "Play", "Play from this line; again to stop", action="play", hinted=True),
    command("session.export", "e", "Export", "Write the session in another format", action="export", hinted=True),
    command("session.back", "q", "Back", "Back to the list", action="leave", hinted=True),
]
"""Of a session that is over."""
