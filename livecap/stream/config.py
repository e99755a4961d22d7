"""StreamConfig: every policy number of the stream, a sentence each."""

from dataclasses import dataclass, field

from livecap.stream.policy import CommitPolicy
from livecap.transcript import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """How sound in time becomes text in time. Seconds are of sound."""

    step_seconds: float | None = None
    """New sound that makes a step worth its cost; a late step takes all that has arrived. None follows the cost."""
    step_cost_seconds: float | None = None
    """What a step is taken to cost where `step_seconds` follows the cost; None measures it."""
    least_step_seconds: float = 0.4
    most_step_seconds: float = 4.0
    """Between these the length of a step follows its cost."""
    first_step_seconds: float = 0.3
    """The least instead, with a fixed length too if steps are cheap, until an utterance shows its first words..."""
    first_words_seconds: float = 2.0
    """...or holds so much sound: then it may be none that anybody spoke."""
    load: float = 0.5
    """The part of the time that decoding may take before steps become longer."""
    commit: CommitPolicy = field(default_factory=CommitPolicy)
    """When text becomes stable."""
    max_context_seconds: float = 30.0
    """The most sound one prompt may hold."""
    look_for_pause_seconds: float = 11.0
    """From here on a prompt takes a step at brief pauses, too, to know what was said before them."""
    roll_seconds: float = 16.0
    """In unbroken speech a prompt that holds this much begins anew at a pause in what is stable."""
    roll_pause_seconds: float = 0.12
    """A short pause: long enough to part words for certain."""
    forced_pause_seconds: float = 0.06
    """What will do for a pause once the prompt holds `roll_seconds`."""
    keep_context_seconds: float = 8.0
    """How far back such a pause is looked for: at most so much sound goes on into the new prompt, with its words."""
    spoken_margin_seconds: float = 2.0
    """At least so much stable sound goes on into the new prompt: text is placed in sound as exactly as steps are."""
    split_seconds: float = 20.0
    """An utterance of unbroken speech that is so long is closed where its stable text ends at a short pause..."""
    max_utterance_seconds: float = 30.0
    """...and one that is so long between any two words; its text and its prompt go on..."""
    latest_split_seconds: float = 36.0
    """...and one that is so long in any case."""
    restart_seconds: float = 12.0
    """A prompt that holds this much begins anew when speech begins after a pause."""
    joined_pause_seconds: float = 2.0
    """After a longer pause the prompt begins anew in any case: silence is not carried along."""
    max_step_seconds: float = 12.0
    """The most new sound one step takes, so that a late step stays within the context bound."""
    breath_seconds: float = 0.2
    """After so long without a voice the sound so far is decoded as if nothing followed."""
    end_margin_seconds: float = 0.3
    """Silence decoded with the end of an utterance; the detector has heard more of it when it says so."""
    pad_seconds: float = 0.5
    """Silence after the last sound: a model hears a word that is cut off as no word."""
    preroll_seconds: float = 0.5
    """Sound before a detected start that can still be had: what the detector's start may reach back to."""
    settled_prompt_seconds: float = 16.0
    """The most sound that one settling prompt holds, but for an utterance that is longer alone."""
    tokens_per_second: float = 12.0
    """The fastest speech a step believes in; more tokens than this are a runaway."""
    spare_tokens: int = 32
    """Added to the budget of each step: header, punctuation, a slow start."""
    max_loop_period: int = 40
    """The longest repeated piece, in tokens, that counts as a loop."""
    loop_repeats: int = 5
    """A piece must stand this many times in a row to be a loop..."""
    min_loop_tokens: int = 16
    """...and the whole run must be this long: people do say "no no no no"."""
    most_runaways: int = 2
    """After so many steps in a row whose text ran away, the prompt begins anew without text."""
    verify_draft: bool = True
    """Offer the last hypothesis as a draft. Off only to prove that it changes nothing."""
    reuse_encoder: bool = True
    """Keep finished conv chunks and encoder windows. Off only to prove that it changes nothing."""
    reuse_kv: bool = True
    """Keep the KV cache for the part of the prompt that is the same. Off only to prove that it changes nothing."""

    def samples(self, seconds: float) -> int:
        """Seconds as a count of samples."""
        return round(seconds * SAMPLE_RATE)
