"""An update may be dropped for a newer one of the same utterance; a final update and an event may not."""

from livecap.transcript import Notice, TranscriptUpdate
from livecap.tui.messages import SessionReported, TranscriptChanged


def changed(track="me", utterance=3, final=False):
    return TranscriptChanged(TranscriptUpdate(track, utterance, "so far", "", 0, 16_000, None, final))


def test_a_newer_update_of_the_same_utterance_replaces_an_older_one():
    assert changed().can_replace(changed())
    assert changed().can_replace(changed(final=True))


def test_updates_of_other_utterances_and_tracks_do_not():
    assert not changed().can_replace(changed(utterance=4))
    assert not changed().can_replace(changed(track="them"))


def test_a_final_update_and_an_event_always_arrive():
    reported = SessionReported(Notice("The microphone left.", 0))
    assert not changed(final=True).can_replace(changed())
    assert not changed().can_replace(reported)
    assert not reported.can_replace(reported)
