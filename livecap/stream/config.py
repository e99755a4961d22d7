"""StreamConfig: every number of the stream's policy, grouped by its user. Seconds are seconds of sound."""

from dataclasses import dataclass, field

from livecap.audio_in.vad import DetectorConfig
from livecap.stream.policy import CommitPolicy
from livecap.transcript import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class ChunkConfig:
    """How much new sound a step waits for (`ChunkLength`)."""

    chunk_seconds: float | None = None
    """New sound that a step waits for; a late step takes all that has arrived. None: the length follows the cost."""
    step_cost_seconds: float | None = None
    """Compute time that one step is assumed to take. None: it is measured."""
    load: float = 0.5
    """The share of the time that steps may take up before chunks become longer."""
    least_chunk_seconds: float = 0.4
    """The shortest chunk where the length follows the cost."""
    most_chunk_seconds: float = 4.0
    """The longest chunk where the length follows the cost."""
    first_chunk_seconds: float = 0.3
    """The shortest chunk until an utterance shows its first words; with a fixed length too, if steps are cheap."""
    first_words_seconds: float = 2.0
    """An utterance that is longer than this waits no more for its first words: it may not be speech."""


@dataclass(frozen=True, slots=True)
class PromptConfig:
    """What one prompt holds and when a new one begins (`PromptWindow`, `Settling`)."""

    max_context_seconds: float = 30.0
    """The most sound in one prompt."""
    max_new_seconds: float = 12.0
    """The most new sound that one decode adds, so that a late step stays within `max_context_seconds`."""
    roll_seconds: float = 16.0
    """In unbroken speech, a prompt with this much sound rolls: a new one begins at a pause in the stable text."""
    look_for_pause_seconds: float = 11.0
    """From this much sound on, a decode ends at each short pause, so that its place in the text is known for a roll."""
    roll_pause_seconds: float = 0.12
    """The shortest pause that certainly separates words."""
    forced_pause_seconds: float = 0.06
    """The shortest pause that is accepted once the prompt holds `roll_seconds`."""
    keep_context_seconds: float = 8.0
    """The most sound that a roll carries into the new prompt, with its words."""
    spoken_margin_seconds: float = 2.0
    """The least stable sound that a roll carries over: text is placed in sound no more exactly than steps are."""
    restart_seconds: float = 12.0
    """A prompt with this much sound is not continued when speech begins after a pause."""
    joined_pause_seconds: float = 2.0
    """No prompt is continued after a longer pause: silence is not carried along."""
    settled_prompt_seconds: float = 16.0
    """The most sound in one prompt of the second pass, except for an utterance that is longer by itself."""


@dataclass(frozen=True, slots=True)
class UtteranceConfig:
    """Where utterances begin, end and are split (`StreamingTranscriber`)."""

    preroll_seconds: float = 0.5
    """How far back in the sound a detected start of speech may lie."""
    breath_seconds: float = 0.2
    """After this much silence the sound so far is decoded as if nothing followed."""
    pad_seconds: float = 0.5
    """Silence added after the last sound: the model does not recognise a word that is cut off."""
    end_margin_seconds: float = 0.3
    """Silence after the end of speech that is decoded with the utterance."""
    doubt_seconds: float = 2.0
    """Loud sound in which the detector finds no speech is decoded after this time, or when it ends."""
    quiet_seconds: float = 0.7
    """Such sound has ended after this time without loud sound."""
    split_seconds: float = 20.0
    """A longer utterance in unbroken speech is closed where its stable text ends at a short pause."""
    max_utterance_seconds: float = 30.0
    """A longer utterance is closed between any two words; its text and its prompt go on in the next utterance."""
    latest_split_seconds: float = 36.0
    """Hard limit: an utterance is closed at this length although no word behind its stable text is stable yet."""


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How text that runs away is recognised and stopped (`Hypothesis`, `PromptWindow`)."""

    tokens_per_second: float = 12.0
    """The fastest speech that is believed; more tokens than this are a runaway."""
    spare_tokens: int = 32
    """Added to the token budget of each step: header, punctuation, a slow start."""
    max_loop_period: int = 40
    """The longest repeated piece, in tokens, that counts as a loop."""
    loop_repeats: int = 5
    """How often a piece must stand in a row to be a loop."""
    min_loop_tokens: int = 16
    """The shortest loop, in tokens: people do say "no no no no"."""
    most_runaways: int = 2
    """After this many runaway steps in a row, a new prompt begins without the text that they repeat."""

    def token_budget(self, n_samples: int) -> int:
        """The most tokens that a decode may generate for that much sound."""
        return round(self.tokens_per_second * max(n_samples / SAMPLE_RATE, 0)) + self.spare_tokens


@dataclass(frozen=True, slots=True)
class ReuseConfig:
    """What is kept from step to step. Each can be switched off, to prove that it changes no text in float32."""

    verify_draft: bool = True
    """Verify the last hypothesis as a draft instead of generating it again token by token."""
    reuse_encoder: bool = True
    """Keep complete conv blocks and encoder windows."""
    reuse_kv: bool = True
    """Keep the KV cache of the part of the prompt that is the same."""


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """How a stream of sound becomes text."""

    chunk: ChunkConfig = field(default_factory=ChunkConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    utterance: UtteranceConfig = field(default_factory=UtteranceConfig)
    commit: CommitPolicy = field(default_factory=CommitPolicy)
    loops: LoopConfig = field(default_factory=LoopConfig)
    reuse: ReuseConfig = field(default_factory=ReuseConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)


def samples_in(seconds: float) -> int:
    """The number of samples in that many seconds of sound."""
    return round(seconds * SAMPLE_RATE)
