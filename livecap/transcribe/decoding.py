"""PieceDecoder: pieces of recordings become segments of text, several pieces in the same passes of the model.

Where a draft of the text is known, or a smaller model writes one, the model only checks it. The text is
the same: exactly in float32, except at ties in half precision.

A piece whose text the model is not sure of is decoded again as two halves: errors of a recogniser spread within a
piece, and it loses count of words that repeat. The text of which it is surer is kept.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from livecap.engine import Engine, EngineSettings
from livecap.model.backend import mx
from livecap.model.checkpoint.load import LoadedModel
from livecap.model.generate import GeneratedToken
from livecap.model.logprobs import token_logprobs
from livecap.model.mel import MIN_SAMPLES
from livecap.model.rows import RowText, embed_sounds, generate_rows
from livecap.model.sampling import Sampling
from livecap.model.text.prompt import Prompt, header_language
from livecap.stream.attention_times import token_starts
from livecap.stream.config import samples_in
from livecap.stream.hypothesis import loop_start
from livecap.stream.recogniser import HEADER_TOKENS, text_start
from livecap.stream.token_text import TokenText
from livecap.stream.word_times import STEP, place_heard, place_words
from livecap.text.repair import repair_repetitions
from livecap.transcribe.cutter import LEAST_SAMPLES, Piece, halves_of
from livecap.transcribe.drafts import Draft
from livecap.transcribe.result import LENGTH, REPETITION, STOP, Segment, Timings, one_segment
from livecap.transcript import SAMPLE_RATE, Word

UNSURE_MARGIN = 4.0
"""Below this mean lead of the logits over the second best, a text is probably wrong in places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingOptions:
    """How the text of pieces is generated."""

    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    """The most tokens of one piece; None for as many as fast speech of its length can have."""
    word_times: bool = True
    """Find out when words were said, by the attention of the model where it tells. One more pass over each text."""
    logprobs: bool = False
    """Find out how probable each token is. One more pass over each text, which stays as it is."""
    repair: bool = False
    """Also repair repetitions as the official package does, on the characters of the text."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What the model wrote for one piece."""

    piece: Piece
    prompt: Prompt
    text: RowText
    header: str
    """The header of the answer, which names the language."""
    tokens: list[GeneratedToken]
    """Tokens of the text, without the header."""


class PieceDecoder:
    """Decodes pieces on the thread of its engine, with the language and the words to expect of the engine's settings.

    The text of a piece does not depend on the pieces that it is decoded with; in half precision, it may at ties.
    """

    def __init__(
        self, engine: Engine, options: DecodingOptions | None = None, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self._loaded, self._settings = engine.loaded, engine.settings
        self._options = options or DecodingOptions()
        self._writer = _Writer(engine.loaded, engine.settings, engine.context, self._options)
        self._drafter = self._drafter_of(engine)
        self._trial = engine.draft_trial
        self._text = TokenText(engine.tokenizer)
        self._follower, self._align = engine.follower, engine.align
        self._now = now
        self.timings = Timings()
        """Time and tokens of all pieces so far."""

    def decode(self, pieces: Sequence[Piece], drafts: Sequence[Draft | None] = ()) -> list[Segment | None]:
        """The segment of each piece; None where there is no text, or text that the model is not sure of in sound in
        which no voice was found.

        Args:
            drafts: what is known of the text of each piece. They are not used where that would take longer.
        """
        if not pieces:
            return []
        chosen = self._chosen(pieces, list(drafts) or [None] * len(pieces))
        began = self._now()
        segments = [one_segment([each for part in parts if (each := self._segment(part))]) for parts in chosen]
        self.timings += Timings(prefill_and_generate_seconds=self._now() - began, n_pieces=len(pieces))
        mx.clear_cache()
        return segments

    def _chosen(
        self, pieces: Sequence[Piece], known: list[Draft | None], *, are_halves: bool = False
    ) -> "list[list[_Written]]":
        """What is kept of each piece: what the model wrote for it, or for its parts, in order, where that is better.

        Args:
            known: a draft of each text, or None.
            are_halves: of pieces; only a text that repeats itself is then decoded again.
        """
        chosen = [[each] for each in self._written(pieces, known, are_halves)]
        unsure = [i for i, [each] in enumerate(chosen) if self._is_unsure(each, are_halves)]
        halves = [half for i in unsure for half in halves_of(pieces[i])]
        drafts: list[Draft | None] = [None] * len(halves)
        if len(pieces) == 1 and halves:  # several share their passes, which is quicker than a draft for each
            drafts = self._halved(chosen[0][0], halves[1].start_sample)
        again: list[list[_Written]] = []
        for at in range(0, len(halves), len(pieces)):
            some = slice(at, at + len(pieces))
            again += self._chosen(halves[some], drafts[some], are_halves=True)
        for i, first, second in zip(unsure, again[::2], again[1::2], strict=True):
            parts = [*first, *second]
            if _margin(parts) > (0 if self._runs_away(chosen[i][0]) else _margin(chosen[i])):
                chosen[i] = parts
        return chosen

    def _halved(self, written: "_Written", cut: int) -> list[Draft | None]:
        """Drafts of the halves of a piece: what it said before and behind the cut, by the length of its words."""
        if not written.header and not self._settings.language:
            return [None, None]
        piece, ids = written.piece, [token.id for token in written.tokens]
        words = self._text.words(ids)
        placed = place_words(
            [word for word, _ in words],
            [piece.end_sample] * len(words),
            (piece.start_sample, piece.end_sample),
            piece.voiced,
        )
        ends = [0, *(end for (_, end), word in zip(words, placed, strict=True) if word.end_sample <= cut)]
        return [Draft(written.header, self._text.decode(half, [])[0]) for half in (ids[: ends[-1]], ids[ends[-1] :])]

    def _written(
        self, pieces: Sequence[Piece], known: list[Draft | None], are_halves: bool = False
    ) -> "list[_Written]":
        """What the model writes for each piece, all in the same passes.

        Args:
            known: a draft of each text, or None.
            are_halves: of pieces; drafts are then from the model itself, and no other ones are made.
        """
        now = self._now
        began = now()
        is_choice = not are_halves and self._options.sampling.is_greedy and (self._drafter is not None or any(known))
        uses_drafts = any(known) if are_halves else is_choice and self._trial.wants_drafts()
        if is_choice and uses_drafts and self._drafter is not None:
            lacking = [i for i, draft in enumerate(known) if draft is None]
            for i, draft in zip(lacking, self._drafted([pieces[i] for i in lacking]), strict=True):
                known[i] = draft
        drafted = now()
        embeddings = self._writer.embed(pieces)
        encoded = now()
        prompts, texts = self._writer.write(pieces, embeddings, known if uses_drafts else [])
        ended = now()
        if is_choice:
            self._trial.add(uses_drafts, ended - began, sum(len(piece.samples) for piece in pieces) / SAMPLE_RATE)
        self.timings += Timings(
            encoder_seconds=encoded - drafted,
            prefill_and_generate_seconds=ended - encoded,
            n_tokens=sum(len(text.tokens) for text in texts),
            draft_seconds=drafted - began,
            n_accepted=sum(text.n_accepted for text in texts),
        )
        split = [self._writer.split(text.tokens) for text in texts]
        return [_Written(*each) for each in zip(pieces, prompts, texts, *zip(*split, strict=True), strict=True)]

    def _is_unsure(self, written: "_Written", is_half: bool) -> bool:
        """Whether the halves of the piece may have a better text."""
        piece, options = written.piece, self._options
        if piece.is_doubtful or len(piece.samples) < LEAST_SAMPLES or not written.tokens:
            return False
        is_usual = options.sampling.is_greedy and options.max_tokens is None
        return is_usual and (self._runs_away(written) or (not is_half and _margin([written]) < UNSURE_MARGIN))

    def _runs_away(self, written: "_Written") -> bool:
        """Whether the text repeats itself, of which a model is always sure, or does not end."""
        loops = self._settings.stream.loops
        short = replace(loops, min_loop_tokens=loops.loop_repeats)
        ids = [token.id for token in written.tokens]
        return not written.text.is_complete or any(loop_start(ids[:n], short) for n in range(len(ids) + 1))

    def _drafter_of(self, engine: Engine) -> "_Writer | None":
        draft = engine.draft
        if draft is None:
            return None
        context = draft.tokenizer.beginning(engine.settings.context, draft.config.context_tokens)
        return _Writer(draft, engine.settings, context, self._options)

    def _drafted(self, pieces: Sequence[Piece]) -> list[Draft | None]:
        """What the smaller model writes for each piece; None where it ends in protocol instead of text."""
        assert self._drafter is not None
        drafts: list[Draft | None] = []
        for text in self._drafter.write(pieces, self._drafter.embed(pieces))[1] if pieces else []:
            header, tokens = self._drafter.split(text.tokens)
            said = self._drafter.tokenizer.decode([token.id for token in tokens])
            drafts.append(Draft(header, said) if header or self._settings.language else None)
        return drafts

    def _segment(self, written: "_Written") -> Segment | None:
        piece, prompt, text, tokens = written.piece, written.prompt, written.text, written.tokens
        header_ids = [token.id for token in text.tokens[: len(text.tokens) - len(tokens)]]
        if self._options.max_tokens is not None and len(tokens) > self._options.max_tokens:
            tokens, text.is_complete = tokens[: self._options.max_tokens], False
        ids, reason = [token.id for token in tokens], STOP if text.is_complete else LENGTH
        if not text.is_complete and (loop := loop_start(ids, self._settings.stream.loops)) is not None:
            ids, reason = ids[:loop], REPETITION
        margin = sum(token.margin for token in tokens[: len(ids)]) / max(len(ids), 1)
        n_tokens = len(ids)
        said = self._text.decode(ids, [])[0]
        if self._options.repair and (repaired := repair_repetitions(said)) != said:
            said, reason = repaired, REPETITION
            ids = self._loaded.tokenizer.encode(said)
        words = self._text.words(ids)
        if not said or (piece.is_doubtful and margin < self._settings.stream.commit.doubted_margin):
            return None
        language = self._settings.language or header_language(written.header) or None
        placed = self._aligned(piece, said, language) or self._placed(piece, prompt, text, header_ids, ids, words)
        start, end = (
            (piece.voiced[0][0], piece.voiced[-1][1]) if piece.voiced else (piece.start_sample, piece.end_sample)
        )
        if placed and placed[0].quality != STEP:
            start, end = placed[0].start_sample, placed[-1].end_sample
        n_accepted = max(0, text.n_accepted - len(header_ids))
        probable = self._logprobs(prompt, text, header_ids, ids)
        return Segment(
            said, start, end, language, placed, reason, n_tokens, margin, n_accepted=n_accepted, logprobs=probable
        )

    def _logprobs(
        self, prompt: Prompt, text: RowText, header: Sequence[int], ids: Sequence[int]
    ) -> tuple[tuple[bytes, float], ...]:
        """Bytes and logarithm of the probability of each token; empty where that is not wanted."""
        if not self._options.logprobs or text.cache is None:
            return ()
        whole = Prompt((*prompt.keys, *header, *ids), prompt.audio_embeddings)
        found = token_logprobs(self._loaded.model, text.cache, whole, len(whole.keys) - len(ids))
        to_bytes = self._loaded.tokenizer.to_bytes
        return tuple((to_bytes([token]), float(value)) for token, value in zip(ids, found, strict=True))

    def _aligned(self, piece: Piece, said: str, language: str | None) -> tuple[Word, ...]:
        """The words with their times by the forced aligner; empty where there is none for the language."""
        words = self._align(piece.samples, said, language) if self._options.word_times else ()
        return tuple(word.moved(piece.start_sample) for word in words)

    def _placed(
        self,
        piece: Piece,
        prompt: Prompt,
        text: RowText,
        header: Sequence[int],
        ids: Sequence[int],
        words: Sequence[tuple[str, int]],
    ) -> tuple[Word, ...]:
        """The words with their times: by the attention of the model, else their share of the voiced sound."""
        texts = [word for word, _ in words]
        follower = self._follower() if self._options.word_times else None
        if follower is not None and text.cache is not None:
            whole = Prompt((*prompt.keys, *header, *ids), prompt.audio_embeddings)
            first = len(whole.keys) - len(ids)
            starts = token_starts(self._loaded.model, text.cache, whole, first, follower)
            if starts is not None:
                edges = [piece.start_sample + round(starts[i]) for i in (0, *(end for _, end in words))]
                return place_heard(texts, edges[:-1], edges[1:], piece.start_sample, piece.samples)
        within = (piece.voiced[0][0], piece.voiced[-1][1]) if piece.voiced else (piece.start_sample, piece.end_sample)
        return place_words(texts, [piece.end_sample] * len(words), within, piece.voiced)


def _margin(parts: Sequence[_Written]) -> float:
    """The mean margin of the tokens of all parts; 0 without any."""
    margins = [token.margin for each in parts for token in each.tokens]
    return sum(margins) / max(len(margins), 1)


class _Writer:
    """A model that writes the texts of pieces."""

    def __init__(self, loaded: LoadedModel, settings: EngineSettings, context: str, options: DecodingOptions) -> None:
        """
        Args:
            context: names and words to expect, no more than the model takes.
        """
        self._model, self.tokenizer = loaded.model, loaded.tokenizer
        self._language, self._stream = settings.language, settings.stream
        self._context, self._options = context, options

    def embed(self, pieces: Sequence[Piece]) -> list[mx.array]:
        """Audio embeddings [n_tokens, output_dim] of each piece."""
        pad_samples = samples_in(self._stream.utterance.pad_seconds)
        sounds = [np.pad(piece.samples, (0, max(pad_samples, MIN_SAMPLES - len(piece.samples)))) for piece in pieces]
        return embed_sounds(self._model, sounds)

    def write(
        self, pieces: Sequence[Piece], embeddings: Sequence[mx.array], drafts: Sequence[Draft | None] = ()
    ) -> tuple[list[Prompt], list[RowText]]:
        """The prompt and the answer of each piece.

        Args:
            embeddings: what `embed` returned for the pieces.
            drafts: of the answers; by default none.
        """
        prompts = [self.prompt(embedding) for embedding in embeddings]
        texts = generate_rows(
            self._model,
            prompts,
            [self._budget(piece) for piece in pieces],
            self._options.sampling,
            [piece.start_sample for piece in pieces],
            None if self._language else self.tokenizer.asr_text_id,
            drafts=[draft.ids(self.tokenizer, self._language is not None) if draft else [] for draft in drafts],
        )
        return prompts, texts

    def split(self, tokens: list[GeneratedToken]) -> tuple[str, list[GeneratedToken]]:
        """The header of an answer, which names the language, as text, and the tokens behind it."""
        asr_text_id, ids = self.tokenizer.asr_text_id, [token.id for token in tokens]
        at = text_start(ids, asr_text_id, self._language is not None)
        header = ids[: ids.index(asr_text_id)] if asr_text_id in ids else []
        return self.tokenizer.decode(header), tokens[at:]

    def prompt(self, embeddings: mx.array) -> Prompt:
        """The prompt for the sound of these embeddings."""
        names = [("piece", i) for i in range(embeddings.shape[0])]
        return Prompt.build(self.tokenizer, names, embeddings, self._context, self._language)

    def _budget(self, piece: Piece) -> int:
        most = self._options.max_tokens
        if most is None:
            most = self._stream.loops.token_budget(len(piece.samples))
        elif self._language is not None:
            return most + 1  # the end of a text that has just so many tokens
        return most + (HEADER_TOKENS if self._language is None else 0)
