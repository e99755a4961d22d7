"""The latency of a word is told once, from the end of its sound to when it could not change any more."""

from livecap.session.commit_latency import CommitLatency
from livecap.transcript import TextCommitted, UtteranceEnded, Word

SECOND = 16_000


def ended(text, *ends, track="", utterance=0):
    words = [Word(word, 0, int(end * SECOND), "step") for word, end in zip(text.split(), ends, strict=True)]
    return UtteranceEnded(track, utterance, text, 0, 9 * SECOND, "English", tuple(words))


def test_each_word_counts_from_the_end_of_its_sound():
    arrived = {"": 0}
    latency = CommitLatency(lambda track: arrived[track])
    arrived[""] = 3 * SECOND
    latency(TextCommitted("", 0, "a good", 0, 2 * SECOND))
    arrived[""] = 5 * SECOND
    latency(TextCommitted("", 0, " a plan", 0, 4 * SECOND))
    latency(ended("a good a plan", 1.0, 1.5, 3.0, 4.5))
    assert [word.seconds for word in latency.recent] == [2.0, 1.5, 2.0, 0.5]
    assert [word.at_seconds for word in latency.recent] == [3.0, 3.0, 5.0, 5.0]


def test_tracks_and_utterances_are_kept_apart():
    arrived = {"me": SECOND, "them": 2 * SECOND}
    latency = CommitLatency(lambda track: arrived[track])
    for track in arrived:
        latency(TextCommitted(track, 7, "yes", 0, SECOND))
    for track in arrived:
        latency(ended("yes", 0.5, track=track, utterance=7))
    latency(ended("no", 0.5, track="me", utterance=8))
    assert [word.seconds for word in latency.recent] == [0.5, 1.5]
    assert not latency._commits
