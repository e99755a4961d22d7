"""The settings of livecap: what each is, how it is written, and the flag that sets it.

The sentence of a field is what `livecap --help`, `livecap config` and docs/settings.md say about it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from livecap.settings.values import (
    ADDRESS,
    COMMAND,
    DURATION,
    KEY_TABLE,
    MOMENT,
    PATH,
    SWITCH,
    TEXT,
    URL,
    Choice,
    Kind,
    Number,
)

DEFAULT_MODEL = "Qwen/Qwen3-ASR-0.6B"
DEFAULT_ALIGNER = "Qwen/Qwen3-ForcedAligner-0.6B"
"""Downloaded when it is first used."""

TimesShown = Literal["minutes", "seconds", "elapsed", "hidden"]
VadName = Literal["silero", "webrtc"]
EchoName = Literal["auto", "off"]
DtypeName = Literal["auto", "float32", "float16", "bfloat16"]
Output = Literal["screen", "inline", "plain", "json"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of the settings classes, described; kept in the field's metadata."""

    name: str
    """Dotted: `screen.theme`."""
    default: Any
    about: str
    """A phrase without a full stop."""
    kind: Kind
    flag: str = ""
    """The option and what follows it, such as `--rate HZ`; "" for a setting without one."""
    group: str = ""
    """The heading of the option in `livecap --help`."""
    stored: bool = True
    """The settings file and the environment may hold it; False leaves it to the option."""
    help: str | None = None
    """The help of the option, instead of `about`; "" hides the option."""


def _setting(default: Any, about: str, kind: Kind, flag: str = "", group: str = "", **more: Any) -> Any:
    """A field of a settings class; `more` is the rest of Setting."""
    described = {"setting": Setting("", default, about, kind, flag, group, **more)}
    return (
        field(default_factory=dict, metadata=described) if default == {} else field(default=default, metadata=described)
    )


def _sound(default: Any, flag: str, about: str, kind: Kind, stored: bool = False) -> Any:
    """A field that says where the sound comes from."""
    return _setting(default, about, kind, flag, "sound", stored=stored)


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """What the screen looks like."""

    theme: str = _setting(
        "textual-dark",
        "colour theme; T on the screen lists all; ansi-dark and ansi-light use the terminal's colours",
        TEXT,
    )
    times: TimesShown = _setting(
        "minutes",
        "times beside the text: minutes (only where the minute changes), seconds, elapsed (since the start) or hidden",
        Choice(get_args(TimesShown)),
    )
    compact: bool = _setting(False, "compact view: no blank lines, no level meter, no key hints", SWITCH)
    caption_lines: int = _setting(3, "number of lines in the caption view, 1 to 8", Number(1, 8, whole=True))
    caption_partial: bool = _setting(True, "show text that may still change in the caption view", SWITCH)


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of livecap."""

    mic: bool = _sound(False, "--mic", "use the default microphone; with --device, both as two tracks", SWITCH)
    device: str | None = _sound(
        None,
        "--device NAME",
        "input device: index, name or part of the name (default: the one used last, else the default microphone)",
        TEXT,
        stored=True,
    )
    labels: tuple[str, ...] = _sound(
        (), "--label NAME", "name of a track; repeat for each track (default: me, them)", TEXT
    )
    stdin: bool = _sound(False, "--stdin", "read WAV or raw 16-bit samples from standard input", SWITCH)
    rate: int = _sound(16_000, "--rate HZ", "sample rate of raw samples", Number(1_000, 768_000, "Hz", whole=True))
    channels: int = _sound(1, "--channels N", "number of channels in raw samples", Number(1, 64, whole=True))
    replay: Path | None = _sound(
        None, "--replay FILE", "recording, or folder of a session, to transcribe as if it were live", PATH
    )
    pace: float | None = _sound(1.0, "--pace N", "replay at N times real time, or max", Number(0.001, 1e6, word="max"))
    start_seconds: float = _sound(0.0, "--start TIME", "where the replay starts, such as 90 or 1:30", MOMENT)
    end_seconds: float | None = _sound(
        None, "--end TIME", "where the replay ends (default: the end of the recording)", MOMENT
    )
    model: str = _setting(
        DEFAULT_MODEL, "model: a folder, a Hugging Face repository, or tiny for a demo", TEXT, "--model NAME", "text"
    )
    remote: str | None = _setting(
        None,
        "server that transcribes live sessions instead of this computer, such as https://host/v1; it receives the "
        "sound of speech",
        URL,
        "--remote URL",
        "text",
    )
    remote_model: str | None = _setting(
        None, "model of that server (default: the first that it lists)", TEXT, "--remote-model NAME", "text"
    )
    remote_key_file: Path | None = _setting(None, "file with the key for that server; or LIVECAP_REMOTE_KEY", PATH)
    dtype: DtypeName = _setting(
        "auto",
        "data type to compute in: auto (float32 on a processor, float16 on M1 and M2, else that of the model), "
        "float32, float16 or bfloat16",
        Choice(get_args(DtypeName)),
        "--dtype TYPE",
        "text",
        help="data type to compute in: auto, float32, float16 or bfloat16 (default: auto, the fastest here)",
    )
    language: str | None = _setting(
        None, "language that is spoken, such as English or en (default: detected)", TEXT, "--language NAME", "text"
    )
    context: str = _setting(
        "", "names and terms to expect, the most important first; a long list is cut", TEXT, "--context TEXT", "text"
    )
    context_file: Path | None = _setting(
        None, "file of names and terms to expect, one per line; read again when it changes", PATH,
        "--context-file FILE", "text",
    )  # fmt: skip
    vad: VadName = _setting(
        "webrtc",
        "speech detector: webrtc, or silero (a network that typing, music and rumble mislead less)",
        Choice(get_args(VadName)),
        "--vad NAME",
        "text",
    )
    echo: EchoName = _setting(
        "auto",
        "echo of the other track that the microphone picks up from loudspeakers: auto removes it when it "
        "is found, off keeps it",
        Choice(get_args(EchoName)),
        "--echo WHEN",
        "text",
    )
    chunk_seconds: float | None = _setting(
        None,
        "new sound per decoding step, 0.2 to 12, or auto (default), which follows the cost of a step",
        Number(0.2, 12, "seconds", word="auto"),
        "--chunk SECONDS",
        "text",
    )
    step_cost_seconds: float | None = _setting(
        None,
        "cost of a step to assume for --chunk auto (default: measured)",
        Number(0, 60, "seconds", above=True),
        "--step-cost SECONDS",
        "text",
        stored=False,
        help="",
    )
    settle: bool = _setting(
        True,
        "transcribe each finished utterance a second time as a whole; exports use that text",
        SWITCH,
        "--no-settle",
        "text",
        help="do not transcribe finished utterances a second time",
    )
    aligner: str = _setting(
        DEFAULT_ALIGNER,
        "forced aligner for the times of words, used if it is downloaded: a folder, a repository, or off",
        TEXT,
        "--aligner NAME",
        "text",
        help="forced aligner for the times of words, used if it is downloaded, or off",
    )
    speakers: bool = _setting(
        False,
        "label the speakers of a track with several voices: A, B and so on; labels are provisional at first",
        SWITCH,
        "--speakers",
        "text",
    )
    log_dir: Path | None = _setting(
        None, "folder for the sessions (default: the platform's folder for user data)", PATH, "--log-dir DIR", "output"
    )
    save_audio: bool = _setting(
        False, "keep the sound of live sessions beside their logs, for replay", SWITCH, "--save-audio", "output"
    )
    for_seconds: float | None = _setting(
        None, "end the session after this time, such as 1h", DURATION, "--for TIME", "output", stored=False
    )
    stop_after_silence: float | None = _setting(
        None,
        "end the session after this time without speech, such as 15m",
        DURATION,
        "--stop-after-silence TIME",
        "output",
    )
    caption_file: Path | None = _setting(
        None,
        "text file that holds the last lines of the text (screen.caption_lines), for OBS and other programs",
        PATH,
        "--caption-file FILE",
        "programs",
    )
    notes_dir: Path | None = _setting(
        None,
        "folder that gets each session as a Markdown note, such as an Obsidian vault",
        PATH,
        "--notes-dir DIR",
        "programs",
    )
    serve: str | None = _setting(
        None,
        "show captions on a web page at this port, such as 8765, or 0.0.0.0:8765 for the whole network",
        ADDRESS,
        "--serve PORT",
        "programs",
    )
    on_line: str | None = _setting(
        None, "command that gets each finished line as JSON", COMMAND, "--on-line COMMAND", "programs"
    )
    on_mark: str | None = _setting(
        None, "command that gets each mark as JSON", COMMAND, "--on-mark COMMAND", "programs"
    )
    on_end: str | None = _setting(
        None, "command that gets the finished session as JSON", COMMAND, "--on-end COMMAND", "programs"
    )
    hook_seconds: float = _setting(
        60.0, "seconds that one run of a command may take", Number(0, 86_400, "seconds", above=True)
    )
    hook_shell: bool = _setting(False, "run these commands with /bin/sh, for pipes and variables", SWITCH)
    output: Output = _setting("screen", "where the text goes", Choice(get_args(Output)), stored=False)
    screen: ScreenSettings = field(default_factory=ScreenSettings)
    given: frozenset[str] = field(default=frozenset(), compare=False)
    """The settings that a flag, the environment or the settings file gives, also those with their default value."""
    keys: Mapping[str, str] = _setting(
        {}, 'keys of the screen by command, such as pause = "p,f5"; docs/keys.md lists the commands', KEY_TABLE
    )


def _settings_of(cls: type, prefix: str) -> Iterator[Setting]:
    for item in fields(cls):
        if item.name == "screen":
            yield from _settings_of(ScreenSettings, "screen.")
        elif item.metadata:
            yield replace(item.metadata["setting"], name=prefix + item.name)


SETTINGS = {setting.name: setting for setting in _settings_of(Settings, "")}
"""Dotted name to setting, in the order of the fields."""
STORED = {name: setting for name, setting in SETTINGS.items() if setting.stored}
"""The settings that a file may hold."""


def get(settings: Settings, name: str) -> Any:
    """The value of a setting by its dotted name."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value
