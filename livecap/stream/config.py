"""StreamConfig: every policy number of the stream, a sentence each."""

from dataclasses import dataclass

from livecap.transcript import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """How sound in time becomes text in time. Seconds are of sound."""

    step_seconds: float = 2.0
    """New sound that makes a step worth its cost; a late step takes all that has arrived."""
    rollback: int = 5
    """How many last tokens each step decides anew, at least: the frontier stays between two words."""
    settled_seconds: float = 8.0
    """Tokens that were believed so long ago, and still are, are stable though they be the last."""
    cold_steps: int = 2
    """So many steps' worth of sound at the start of an utterance commits nothing: too little context."""
    max_context_seconds: float = 30.0
    """The most sound one prompt may hold."""
    keep_context_seconds: float = 12.0
    """What stays when old windows leave: they leave several at once, since leaving voids the KV cache."""
    spoken_margin_seconds: float = 1.0
    """Sound leaves only this far behind the frontier: milestones are as coarse as steps."""
    max_utterance_seconds: float = 30.0
    """Unbroken speech is closed here; its text and its prompt go on."""
    restart_seconds: float = 12.0
    """A prompt that holds this much begins anew at the next pause."""
    joined_pause_seconds: float = 2.0
    """After a longer pause the prompt begins anew in any case: silence is not carried along."""
    max_step_seconds: float = 12.0
    """The most new sound one step takes, so that a late step stays within the context bound."""
    end_margin_seconds: float = 0.3
    """Silence decoded with the end of an utterance; the detector has heard more of it when it says so."""
    pad_seconds: float = 0.5
    """Silence after the last sound of a source: a model hears a word that is cut off as no word."""
    preroll_seconds: float = 0.5
    """Sound before a detected start that can still be had: what the detector's start may reach back to."""
    tokens_per_second: float = 12.0
    """The fastest speech a step believes in; more tokens than this are a runaway."""
    spare_tokens: int = 32
    """Added to the budget of each step: header, punctuation, a slow start."""
    max_loop_period: int = 32
    """The longest repeated piece, in tokens, that counts as a loop."""
    loop_repeats: int = 5
    """A piece must stand this many times in a row to be a loop..."""
    min_loop_tokens: int = 16
    """...and the whole run must be this long: people do say "no no no no"."""
    reuse_encoder: bool = True
    """Keep finished conv chunks and encoder windows. Off only to prove that it changes nothing."""
    reuse_kv: bool = True
    """Keep the KV cache for the part of the prompt that is the same. Off only to prove that it changes nothing."""

    @property
    def cold_samples(self) -> int:
        """Sound of an utterance that is heard before anything is committed; the context bound must not come first."""
        most = self.max_context_seconds - self.max_step_seconds - self.step_seconds
        return self.samples(max(0.0, min(self.cold_steps * self.step_seconds, most)))

    def samples(self, seconds: float) -> int:
        """Seconds as a count of samples."""
        return round(seconds * SAMPLE_RATE)
