"""A scripted `Machine` with three inputs and two models."""

from livecap.errors import AudioError, ModelError
from livecap.tui.choices import InputChoice, ModelChoice


class ScriptedMeter:
    def __init__(self, name):
        self.name, self.level, self.trouble, self.closed = name, 0.3, None, False

    def close(self):
        self.closed = True


class ScriptedPlaying:
    def __init__(self, files, sample):
        self.files, self.sample, self.ended, self.trouble = files, sample, False, None

    def close(self):
        self.ended = True


class ScriptedMachine:
    """The test sets what is available."""

    memory_bytes = 16_000_000_000

    def __init__(self):
        self.listed = [
            InputChoice("MacBook Pro Microphone", "48 kHz  1 ch", "default", True),
            InputChoice("BlackHole 2ch", "48 kHz  2 ch", "what this machine plays"),
            InputChoice("[red]Odd\x1b[2J\u202e microphone", "16 kHz  1 ch"),
        ]
        self.connected = None
        """The inputs that are connected now, where they differ from `listed`."""
        self.meters = []
        self.played = []
        self.on_download = None

    def inputs(self, again=False):
        if again and self.connected is not None:
            self.listed = self.connected
        if self.listed is None:
            raise AudioError("The inputs cannot be listed.")
        return self.listed

    def meter(self, name):
        if name == "BlackHole 2ch":
            raise AudioError("BlackHole 2ch is in use.")
        self.meters.append(ScriptedMeter(name))
        return self.meters[-1]

    def models(self):
        return [
            ModelChoice("Qwen/Qwen3-ASR-0.6B", "for most machines", 1_876_091_704, 2_200_000_000, True, True, True),
            ModelChoice("Qwen/Qwen3-ASR-1.7B", "fewer errors", 4_698_521_512, 28_000_000_000, False, False),
        ]

    def download(self, name, progress):
        if self.on_download is None:
            raise ModelError("No network.")
        self.on_download(name, progress)

    def languages(self):
        return ["English", "French", "German", "Japanese"]

    def play(self, files, sample):
        self.played.append(ScriptedPlaying(files, sample))
        return self.played[-1]


class ScriptedChange:
    """Records the requested changes as (changes, track)."""

    def __init__(self):
        self.asked = []

    def __call__(self, changes, track=""):
        self.asked.append((changes, track))
