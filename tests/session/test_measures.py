"""A running session measures what its steps cost and how late its words became stable."""

from livecap.session.measures import RTF_STEPS, CommitLatency, StepCost, StepCosts
from livecap.stream.statistics import StageSeconds
from livecap.transcript import TextCommitted, UtteranceEnded, Word

SECOND = 16_000


def ended(text, *ends, track="", utterance=0):
    words = [Word(word, 0, int(end * SECOND), "step") for word, end in zip(text.split(), ends, strict=True)]
    return UtteranceEnded(track, utterance, text, 0, 9 * SECOND, "English", tuple(words))


def test_commit_latency_counts_from_the_end_of_a_words_sound():
    arrived = {"": 0}
    latency = CommitLatency(lambda track: arrived[track])
    arrived[""] = 3 * SECOND
    latency(TextCommitted("", 0, "a good", 0, 2 * SECOND))
    arrived[""] = 5 * SECOND
    latency(TextCommitted("", 0, " a plan", 0, 4 * SECOND))
    latency(ended("a good a plan", 1.0, 1.5, 3.0, 4.5))
    assert [word.seconds for word in latency.recent] == [2.0, 1.5, 2.0, 0.5]
    assert [word.at_seconds for word in latency.recent] == [3.0, 3.0, 5.0, 5.0]


def test_commit_latencies_of_tracks_and_utterances_are_separate():
    arrived = {"me": SECOND, "them": 2 * SECOND}
    latency = CommitLatency(lambda track: arrived[track])
    for track in arrived:
        latency(TextCommitted(track, 7, "yes", 0, SECOND))
    for track in arrived:
        latency(ended("yes", 0.5, track=track, utterance=7))
    latency(ended("no", 0.5, track="me", utterance=8))
    latency(ended("yes", 0.5, track="me", utterance=7))  # its commits were dropped when it ended
    assert [word.seconds for word in latency.recent] == [0.5, 1.5]


def test_a_word_that_the_text_spells_differently_is_left_out_alone():
    arrived = {"": SECOND}
    latency = CommitLatency(lambda track: arrived[track])
    latency(TextCommitted("", 0, "It is", 0, SECOND))
    arrived[""] = 4 * SECOND
    latency(TextCommitted("", 0, " here", 0, 4 * SECOND))
    words = tuple(Word(text, 0, SECOND, "step") for text in ("It", "iss", "here"))
    latency(UtteranceEnded("", 0, "It is here", 0, 4 * SECOND, "English", words))
    assert [word.seconds for word in latency.recent] == [0, 3]


def cost(sound=1.0, compute=0.25):
    return StepCost(1.0, "", sound, compute, 0.0, StageSeconds(0.0625, 0.0625, 0.0, 0.0))


def test_rtf_is_an_average_of_the_last_steps():
    costs = StepCosts()
    assert costs.rtf is None and costs.last is None
    for _ in range(20):
        costs.add(cost(compute=1.0))
    for _ in range(RTF_STEPS):
        costs.add(cost())
    costs.add(cost(sound=0.0))
    assert costs.rtf == 0.25 and costs.compute_seconds == 22.75


def test_time_outside_all_stages_is_the_hosts():
    assert cost().host_seconds == 0.125
