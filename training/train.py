"""Training of `tiny` until a deadline; resumes where it stopped. See README.md.

Several processes train one network: each computes the gradients of its own batch, and all take the step of their mean.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing as mp
import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Full
from statistics import mean

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.data import Example, batches, characters
from training.listen import word_errors
from training.muon import BFLOAT16, DEVICE, Muon
from training.network import (
    CHARACTERS,
    CTC_SLOTS,
    TrainedModel,
    exported,
    log_mel,
    mel_edges,
    mel_filters,
    n_tokens,
    time_stretched,
)
from training.prompts import Prompts
from training.sentences import READ_SHARES, training_sentences
from training.synth import read_shard
from training.team import Team
from training.vocabulary import copy_vocabulary, load_vocabulary, train_vocabulary

PEAK_RATE, PEAK_MATRIX_RATE = 1.2e-3, 1e-2
"""Learning rates of AdamW (norms, biases, convolutions, tables, heads) and of Muon (matrices between layers)."""
WARM_STEPS = 150
HEAD_BATCHES, HEAD_STEPS, HEAD_RATE = 16, 160, 1e-2
"""Exported weights lack the heads. They are fitted first, in a few seconds, to what the encoder says of some batches;
else their first losses would spoil the encoder."""
STEADY_PART = 0.25
"""The share of the time after the decoder listens in which the rate stays at its peak; then it falls (cosine)."""
TOKEN_CTC = 0.3
DEAF_SECONDS = 3.5
"""Until the decoder listens, utterances are clean and at most this long; it learns nothing from longer ones."""
DEAF_BATCH_SECONDS, BATCH_SECONDS = 40.0, 48.0
LISTENS_BELOW = 2.4
"""An answer loss, averaged over 50 steps, below which the decoder must be listening to the sound."""
LONGEST = ((0.1, 6.0), (0.2, 10.0), (0.28, 18.0), (1.0, 30.0))
"""(share of the time after the decoder listens, longest utterance in seconds until then)."""
LONGEST_AGAIN = ((0.1, 8.0), (0.3, 14.0), (1.0, 30.0))
"""The same with imported weights, which listen from the first step on."""
LONGEST_FRAMES = 3000
"""Mel frames of 10 ms in 30 s. A stretched batch is not longer."""
WARPS, WARP_SHARE = (0.92, 0.96, 1.04, 1.08), 0.4
"""Factors by which the frequencies of this share of the examples are moved: other vocal tracts (`mel_filters`)."""
TILTS_DB, TILT_SHARE = (-4.5, 2.0), 0.6
"""Range of a spectral tilt in decibels per octave, 0 dB at 1 kHz, and the share of the examples that have one: other
microphones and distances."""
BELL_DB = 8.0
"""The largest gain or attenuation of one bell-shaped band in the same examples; half of its width, to 1/e, is 0.5 to 2
octaves."""
STRETCHES, STRETCH_SHARE = (0.95, 1.4), 0.4
"""Range of the factors by which this share of the batches lasts longer, with the same pitch."""
PLAIN_PART = 0.04
"""The share of the time after the decoder listens in which the sound stays clean."""
WRONG_SHARE = 0.06
"""The share of an answer's text tokens that are random ones in what the decoder reads, not in what it learns to say:
a mistake of its own must not mislead it about what follows."""
CTC_PART = 0.4
"""The CTC losses have full weight for this share of the time; without the one of characters the decoder never
listens."""
CTC_EVERY = 2
"""They take a tenth of a step's time. Once the decoder listens, only every second step has them."""
TEXT_ROWS, TEXT_TOKENS, TEXT_WEIGHT = 8, 80, 0.3
"""Rows of text without sound in each step of a process, tokens in a row, and the weight of their loss. The decoder
learns words from them that are rare in the speech."""


def feed(
    queue: mp.Queue, folder: Path, seed: int, lengths: int, longest: object, augment: object, sound: object
) -> None:
    """The main function of a process that makes examples. It ends when the trainer has ended, however that ended."""
    torch.set_num_threads(1)
    queue.cancel_join_thread()
    trainer = mp.parent_process()
    for batch in batches(folder, seed, lengths, sound, longest, augment):
        waits = True
        while waits:
            try:
                queue.put(batch, timeout=5)
                waits = False
            except Full:
                if trainer is not None and not trainer.is_alive():
                    return


def watch(feeder: mp.Process) -> None:
    """End this process if the system kills the one that makes examples, as it does without memory. What that had not
    wholly sent would be waited for. A thread's main function."""
    feeder.join()
    if feeder.exitcode == -signal.SIGKILL:
        print("A process that makes examples was killed. With less memory, lower MOST_HOURS in synth.py.", flush=True)
        os._exit(1)


def next_batch(queue: mp.Queue, feeders: list[mp.Process]) -> list[Example]:
    """The next batch.

    Raises:
        SystemExit: no process is left that makes any.
    """
    while True:
        try:
            batch: list[Example] = queue.get(timeout=5)
        except Empty:
            if not any(feeder.is_alive() for feeder in feeders):
                raise SystemExit("No process makes examples any more; its message is above.") from None
        else:
            return batch


def forward(
    network: TrainedModel,
    prompts: Prompts,
    batch: list[Example],
    filters: Tensor,
    window: Tensor,
    augment: bool,
    heads: bool,
) -> dict[str, Tensor]:
    """The losses `loss` of the answer's tokens, and where `heads` are trained in this step `ctc` of the character head
    and `token_ctc` of the audio embeddings read as tokens."""
    embeddings, features, counts = encoded(network, batch, filters, window, augment)

    rows, spans = [], []
    table = network.thinker.model.embed_tokens
    for i, example in enumerate(batch):
        context = ""
        if random.random() < 0.06 and example.text:
            words = example.text.split()
            context = " ".join(random.sample(words, min(3, len(words))))
        before, answer = prompts.before(context), prompts.answer(example.text)
        start = len(before) + counts[i] + len(prompts.after)
        rows.append((before, [*prompts.after, *(prompts.with_mistakes(answer, WRONG_SHARE) if augment else answer)]))
        spans.append((start, answer))
    length = max(start + len(answer) for start, answer in spans)
    x = embeddings.new_zeros(len(batch), length, embeddings.shape[-1])
    for i, (before, rest) in enumerate(rows):
        a = len(before)
        b = a + counts[i]
        x[i, :a] = table(torch.tensor(before, device=DEVICE))
        x[i, a:b] = embeddings[i, : counts[i]]
        x[i, b : b + len(rest)] = table(torch.tensor(rest, device=DEVICE))
    hidden = network.thinker.model(x)
    picked = torch.cat([hidden[i, start - 1 : start - 1 + len(answer)] for i, (start, answer) in enumerate(spans)])
    targets = torch.tensor([t for _, answer in spans for t in answer], device=DEVICE)
    losses = {"loss": F.cross_entropy(network.thinker.logits(picked).float(), targets, label_smoothing=0.05)}
    if heads:
        found = head_losses(network, prompts, batch, embeddings, features, counts)
        losses |= zip(("ctc", "token_ctc"), found, strict=True)
    return losses


def text_only_loss(network: TrainedModel, prompts: Prompts, texts: Iterator[str]) -> Tensor:
    """The mean loss of a token of text without sound: TEXT_ROWS rows of TEXT_TOKENS after the start of an answer.

    No row has an end, so it does not teach when a text ends.
    """
    before = prompts.answer_start()
    rows = []
    for _ in range(TEXT_ROWS):
        ids = prompts.encode(next(texts))
        while len(ids) < TEXT_TOKENS:
            ids += prompts.encode(" " + next(texts))
        rows.append([*before, *ids[:TEXT_TOKENS]])
    tokens = torch.tensor(rows, device=DEVICE)
    hidden = network.thinker.model(network.thinker.model.embed_tokens(tokens[:, :-1]))[:, len(before) - 1 :]
    return F.cross_entropy(network.thinker.logits(hidden).float().flatten(0, 1), tokens[:, len(before) :].flatten())


def spectral_gains(n: int) -> np.ndarray:
    """Random factors for the power of the mel bands, [n, 128] float32: a tilt and one bell-shaped band per example."""
    octaves = np.log2(np.maximum(mel_edges()[1:-1], 250) / 1000)
    gains_db = np.zeros((n, 128))
    for row in gains_db:
        if random.random() < TILT_SHARE:
            row += random.uniform(*TILTS_DB) * octaves
            distance = (octaves - random.uniform(-2, 3)) / random.uniform(0.5, 2)
            row += random.uniform(-BELL_DB, BELL_DB) * np.exp(-np.square(distance))
    return (10 ** (gains_db / 10)).astype(np.float32)


def encoded(
    network: TrainedModel, batch: list[Example], filters: Tensor, window: Tensor, augment: bool
) -> tuple[Tensor, Tensor, list[int]]:
    """What the encoder makes of the sound: embeddings [batch, tokens, output_dim], features [batch, tokens, d_model],
    and the tokens of each row.

    Args:
        filters: [1 + len(WARPS), 201, 128], the first without a warp.
        window: [400] of the Fourier transform.
        augment: move frequencies, change the spectrum and stretch the time of random examples.
    """
    samples = [len(e.wave) for e in batch]
    waves = torch.zeros(len(batch), max(samples))
    for row, example in zip(waves, batch, strict=True):
        row[: len(example.wave)] = torch.from_numpy(example.wave)
    with torch.autocast(DEVICE.type, enabled=False):
        if not augment:
            mel, frames = log_mel(waves.to(DEVICE), samples, filters[0], window)
        else:
            warps = [random.randrange(1, len(filters)) if random.random() < WARP_SHARE else 0 for _ in batch]
            changed = filters[warps] * torch.from_numpy(spectral_gains(len(batch)))[:, None].to(DEVICE)
            mel, frames = log_mel(waves.to(DEVICE), samples, changed, window)
            most = LONGEST_FRAMES / max(frames)
            if random.random() < STRETCH_SHARE and most > 1:
                mel, frames = time_stretched(mel, frames, min(most, random.uniform(*STRETCHES)))
    embeddings, features = network.thinker.audio_tower(mel, frames)
    return embeddings, features, [n_tokens(f) for f in frames]


def head_losses(
    network: TrainedModel,
    prompts: Prompts,
    batch: list[Example],
    embeddings: Tensor,
    features: Tensor,
    counts: list[int],
) -> tuple[Tensor, Tensor]:
    """The losses of the character head, and of the audio embeddings read as tokens."""
    slots = network.ctc(features).view(len(batch), -1, len(CHARACTERS) + 1).float().log_softmax(-1)
    character_loss = ctc_loss(slots, [n * CTC_SLOTS for n in counts], [characters(e.text) for e in batch], blank=0)
    vectors = torch.cat([network.thinker.model.embed_tokens.weight, network.blank[None]])
    tokens = (embeddings @ vectors.T).float().log_softmax(-1)
    token_loss = ctc_loss(tokens, counts, [prompts.encode(e.text) for e in batch], blank=len(vectors) - 1)
    return character_loss, token_loss


def fit_heads(
    network: TrainedModel, prompts: Prompts, batches: list[list[Example]], filters: Tensor, window: Tensor
) -> None:
    """Fit the heads to an encoder that stays as it is."""
    with torch.no_grad():
        known = [(batch, *encoded(network, batch, filters, window, augment=False)) for batch in batches]
    heads = [*network.ctc.parameters(), network.blank]
    adam = torch.optim.Adam(
        [{"params": heads[:-1], "lr": HEAD_RATE}, {"params": heads[-1:], "lr": 5 * HEAD_RATE}], betas=(0.9, 0.99)
    )
    falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: min(1.0, 2 * (1 - step / HEAD_STEPS)))
    for step in range(HEAD_STEPS):
        losses = head_losses(network, prompts, *known[step % len(known)])
        for p, gradient in zip(heads, torch.autograd.grad(sum(losses), heads), strict=True):
            p.grad = gradient
        adam.step()
        falling.step()


def ctc_loss(log_probabilities: Tensor, lengths: list[int], labels: list[list[int]], blank: int) -> Tensor:
    """The CTC loss per label; rows with too few positions for their labels add nothing."""
    losses = F.ctc_loss(
        log_probabilities.transpose(0, 1),
        torch.tensor([label for row in labels for label in row], dtype=torch.long, device=DEVICE),
        torch.tensor(lengths),
        torch.tensor([len(row) for row in labels]),
        blank=blank,
        reduction="none",
        zero_infinity=True,
    )
    return losses.sum() / max(1, sum(len(row) for row in labels))


@torch.no_grad()
def average_into(average: dict[str, Tensor], network: TrainedModel, decay: float) -> None:
    for name, value in network.state_dict().items():
        average[name].lerp_(value, 1 - decay)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus/english.txt"))
    parser.add_argument("--work", type=Path, default=Path("training/.work"))
    parser.add_argument("--minutes", type=float, default=120, help="on the clock, with earlier runs and pauses")
    parser.add_argument("--processes", type=int, default=1, help="processes that train, each with a batch of its own")
    parser.add_argument("--threads", type=int, default=2, help="threads of each process")
    parser.add_argument("--feeders", type=int, default=1, help="processes that make examples for each that trains")
    parser.add_argument("--batch-seconds", type=float, default=BATCH_SECONDS, help="sound in a batch")
    parser.add_argument(
        "--start-from", type=Path, help="exported folder whose weights to start from where there is no checkpoint"
    )
    parser.add_argument(
        "--peak",
        type=float,
        default=1.0,
        help="factor of the learning rates; below 1 for trained weights",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the examples and texts; another for each run that starts from weights"
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile the layers (needs a C++ compiler): a step takes 0.8 of the time"
    )
    options = parser.parse_args()
    if DEVICE.type != "cpu":
        options.processes = 1  # they share gradients in the memory of the computer
    options.work.mkdir(parents=True, exist_ok=True)
    folder, checkpoint = options.work / "vocabulary", options.work / "checkpoint.pt"
    if options.start_from and not checkpoint.exists():
        copy_vocabulary(options.start_from, folder)
    elif not (folder / "tokenizer_config.json").exists():
        train_vocabulary(options.corpus, folder, options.work)
    network = TrainedModel(load_vocabulary(folder).get_vocab_size())
    print(f"{sum(p.numel() for p in network.thinker.parameters()) / 1e6:.2f} million parameters", flush=True)
    spawn = mp.get_context("spawn")
    team, *others = Team.of(spawn, options.processes, sum(p.numel() for p in network.parameters()))
    processes = [spawn.Process(target=train, args=(other, options)) for other in others]
    for process in processes:
        process.start()
    team.watch(processes)
    try:
        train(team, options)
    except BaseException:
        team.leave()
        raise
    for process in processes:
        process.join()


def train(team: Team, options: argparse.Namespace) -> None:
    """One of the processes that train. All have the same weights; the first one tells the time, reports and saves."""
    rank = team.rank
    if rank:
        team.end_with_first()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    random.seed(1 + rank + 1_000 * options.seed)
    checkpoint = options.work / "checkpoint.pt"
    vocabulary = load_vocabulary(options.work / "vocabulary")
    prompts = Prompts(vocabulary)
    network = TrainedModel(vocabulary.get_vocab_size()).to(DEVICE)
    between = [p for name, p in network.thinker.named_parameters() if p.ndim == 2 and "embed_tokens" not in name]
    others = [p for p in network.parameters() if all(p is not q for q in between)]
    muon = Muon(between, PEAK_MATRIX_RATE, weight_decay=0.02, team=team)
    adam = torch.optim.AdamW(
        [{"params": [p for p in others if p.ndim > 1], "weight_decay": 0.03},
         {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0}],
        lr=PEAK_RATE, betas=(0.9, 0.98), eps=1e-8,
    )  # fmt: skip
    if options.start_from:
        network.thinker.load_state_dict(exported(options.start_from, network))
    lengths = LONGEST_AGAIN if options.start_from else LONGEST
    average = {name: value.clone() for name, value in network.state_dict().items()}
    step, spent, sound, listens_since = 0, 0.0, 0.0, 0.0 if options.start_from else math.inf
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        muon.load_state_dict(state["muon"])
        adam.load_state_dict(state["adam"])
        average = {name: value.to(DEVICE) for name, value in state["average"].items()}
        step, spent, sound = state["step"], state["spent"], state["sound"]
        listens_since = state["listens_since"]
    first = step + 100_000_007 * options.seed
    texts = training_sentences(options.corpus, 1_000_003 * rank + first, options.work, READ_SHARES)
    held_out = read_shard(options.work / "held_out_seen.pickle")[:40]
    filters = torch.tensor(np.stack([mel_filters(warp) for warp in (1.0, *WARPS)]), device=DEVICE)
    window = torch.hann_window(400, device=DEVICE)

    longest, augment, batch_sound = mp.Value("d", DEAF_SECONDS), mp.Value("b", 0), mp.Value("d", DEAF_BATCH_SECONDS)
    queue: mp.Queue = mp.Queue(maxsize=6)
    feeders = []
    for number in range(rank * options.feeders, (rank + 1) * options.feeders):
        seed = first + 17 + 1_000_003 * number
        length_seed = first + number % options.feeders  # alike in all processes that train
        shared = (queue, options.work / "shards", seed, length_seed, longest, augment, batch_sound)
        feeders.append(mp.Process(target=feed, args=shared, daemon=True))
        feeders[-1].start()
        threading.Thread(target=watch, args=[feeders[-1]], daemon=True).start()
    if options.start_from and not checkpoint.exists():
        fit_heads(network, prompts, [next_batch(queue, feeders) for _ in range(HEAD_BATCHES)], filters, window)
        team.average([p.data for p in network.parameters()], [])
        average = {name: value.clone() for name, value in network.state_dict().items()}

    if options.compile:
        torch._dynamo.config.recompile_limit = 64  # sequence lengths and masks vary
        for layer in (*network.thinker.audio_tower.layers, *network.thinker.model.layers):
            layer.compile(dynamic=True)
    total = options.minutes * 60
    last, saved, tested = time.time(), spent, spent
    seen: defaultdict[str, list[float]] = defaultdict(list)
    while spent < total:
        part = (spent - listens_since) / (total - listens_since) if spent > listens_since else 0.0
        rate = PEAK_RATE * options.peak * min(1.0, (step + 1) / WARM_STEPS)
        if part > 0:
            longest.value = next(most for until, most in lengths if part <= until)
            augment.value = int(part > PLAIN_PART)
            batch_sound.value = options.batch_seconds
            falling = max(0.0, (part - STEADY_PART) / (1 - STEADY_PART))
            rate *= 0.5 * (1 + math.cos(math.pi * falling)) + 0.004
        for group in adam.param_groups:
            group["lr"] = rate
        for group in muon.param_groups:
            group["lr"] = rate * PEAK_MATRIX_RATE / PEAK_RATE
        head = 1.0 if part < CTC_PART else 0.3
        factors = {"loss": 1.0, "ctc": head, "token_ctc": head * TOKEN_CTC, "text": TEXT_WEIGHT}
        batch = next_batch(queue, feeders)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=BFLOAT16):
            heads = part == 0 or step % CTC_EVERY == 0
            losses = forward(network, prompts, batch, filters, window, bool(augment.value), heads)
            if part > 0:  # before that, a small loss must mean that the decoder listens
                losses["text"] = text_only_loss(network, prompts, texts)
        network.zero_grad()
        sum(factors[name] * loss for name, loss in losses.items()).backward()
        now = time.time()
        *news, heard, lasted = team.average(
            [p.grad for p in network.parameters() if p.grad is not None],
            [
                *(float(loss.detach()) for loss in losses.values()),
                sum(len(e.wave) for e in batch) / 16_000,
                (now - last) * (rank == 0),
            ],
        )
        last = now
        spent += lasted * options.processes
        sound += heard * options.processes
        muon.step()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        adam.step()
        average_into(average, network, min(0.999, (step + 1) / (step + 50)))
        step += 1
        for name, value in zip(losses, news, strict=True):
            seen[name].append(value)
        if step % 50 == 0:
            line = {
                "step": step, "minutes": round(spent / 60, 1),
                **{name: round(mean(values), 3) for name, values in seen.items()},
                "hours": round(sound / 3600, 2), "rate": round(rate, 6), "x": round(sound / spent),
                "longest": longest.value,
            }  # fmt: skip
            if rank == 0:
                print(json.dumps(line), flush=True)
            if mean(seen["loss"]) < LISTENS_BELOW:
                listens_since = min(listens_since, spent)
            seen.clear()
        if rank == 0 and (spent - saved > 240 or spent >= total):
            saved = spent
            state = {
                "network": network.state_dict(),
                "muon": muon.state_dict(),
                "adam": adam.state_dict(),
                "average": average,
            }
            torch.save(
                {**state, "step": step, "spent": spent, "sound": sound, "listens_since": listens_since},
                checkpoint.with_suffix(".part"),
            )
            checkpoint.with_suffix(".part").rename(checkpoint)
            progress = {"training_minutes": round(spent / 60, 1), "steps": step, "hours_heard": round(sound / 3600, 1)}
            (options.work / "progress.json").write_text(json.dumps(progress) + "\n")
        if rank == 0 and (spent - tested > 480 or spent >= total):
            tested = spent
            twin = TrainedModel(vocabulary.get_vocab_size()).to(DEVICE)
            twin.load_state_dict(average)
            rate_of_errors, heard = word_errors(twin.thinker, vocabulary, held_out)
            print(
                json.dumps({"minutes": round(spent / 60, 1), "wer": round(rate_of_errors, 4), "heard": heard[:2]}),
                flush=True,
            )


if __name__ == "__main__":
    main()
