"""Speakers of transcribed sound: segments in parts, names of known voices, letters for the others."""

import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.audio_in.temporary_sound import TemporarySound
from livecap.errors import AudioError, SettingsError
from livecap.export.formats import export_pieces
from livecap.speakers.counts import Counts
from livecap.transcribe.document import TranscribedDocument
from livecap.transcribe.result import Segment, Timings, Transcription, assembled
from livecap.transcribe.speakers import SpeakerLabels, labelled
from livecap.transcript import Word
from tests.archive.when import STARTED
from tests.speakers.scripted import ScriptedDiariser, turns_of

SECOND = 16_000


def segment(text: str, start: float, end: float, words: bool = True) -> Segment:
    first, last = round(start * SECOND), round(end * SECOND)
    texts = text.split()
    at = [first + (last - first) * n // len(texts) for n in range(len(texts) + 1)]
    times = tuple(Word(each, at[n], at[n + 1], "attention") for n, each in enumerate(texts)) if words else ()
    return Segment(text, first, last, "English", times, "stop")


def text_of(*segments: Segment) -> Transcription:
    return assembled(list(segments), 20.0, Timings())


TEXT = text_of(segment("Shall we begin?", 0, 3), segment("Yes. Who has it?", 4, 8), segment("Me.", 9, 10))


def said(text: Transcription) -> list[tuple[str, str]]:
    return [(segment.speaker, segment.text) for segment in text.segments]


def test_segments_end_where_the_speaker_changes_and_words_are_whole() -> None:
    text = labelled(TEXT, turns_of((0, 3, 0), (4, 5.4, 1), (5.4, 8, 0), (9, 10, 1)), {})
    assert said(text) == [("A", "Shall we begin?"), ("B", "Yes."), ("A", "Who has it?"), ("B", "Me.")]
    assert text.text == TEXT.text and text.words == TEXT.words and text.speakers == ("A", "B")
    assert [(each.start_seconds, each.end_seconds) for each in text.segments[1:3]] == [(4, 5), (5, 8)]


def test_letters_follow_the_order_of_the_text_and_names_take_none() -> None:
    text = labelled(TEXT, turns_of((0, 3, 7), (4, 8, 3), (9, 10, 5)), {3: "Priya"})
    assert [speaker for speaker, _ in said(text)] == ["A", "Priya", "B"]


def test_one_voice_alone_has_no_label_unless_it_is_known() -> None:
    assert labelled(TEXT, turns_of((0, 10, 0)), {}) == TEXT
    text = labelled(TEXT, turns_of((0, 3, 7), (4, 8, 3), (9, 10, 5)), {3: "A"})  # a name that is a letter
    assert list(dict.fromkeys(speaker for speaker, _ in said(text))) == ["B", "A", "C"]
    assert {speaker for speaker, _ in said(labelled(TEXT, turns_of((0, 10, 0)), {0: "Priya"}))} == {"Priya"}
    assert labelled(TEXT, [], {}) == TEXT


def test_a_segment_without_word_times_has_one_speaker() -> None:
    text = text_of(segment("Shall we begin?", 0, 3), segment("Yes. Who has it?", 4, 8, words=False))
    assert said(labelled(text, turns_of((0, 3, 0), (4, 7, 1), (7, 8, 0)), {}))[1:] == [("B", "Yes. Who has it?")]


@pytest.mark.parametrize(
    "form, expected",
    [("txt", "B: Yes.\n"), ("vtt", "<v B>Yes."), ("json", '"speaker": "B"')],
)
def test_exports_of_a_recording_have_its_speakers(form: str, expected: str) -> None:
    text = labelled(TEXT, turns_of((0, 3, 0), (4, 5.4, 1), (5.4, 8, 0), (9, 10, 1)), {})
    document = TranscribedDocument("talk", "talk.wav", "tiny", {"": text}, STARTED.astimezone())
    assert document.speakers == ["A", "B"]
    assert expected in "".join(export_pieces(document, form))


def test_the_tracks_of_a_session_have_speakers_of_their_own(tmp_path: Path) -> None:
    files = {"me": tmp_path / "me.wav", "them": tmp_path / "them.wav"}
    for path in files.values():
        soundfile.write(path, np.full(10 * SECOND, 0.1, np.float32), SECOND)
    labels = SpeakerLabels(lambda: ScriptedDiariser([[(0, 10, 0)], [(0, 3, 0), (4, 10, 1)]]))
    texts = labels.of_files({"me": TEXT, "them": TEXT}, files, Counts())
    assert texts["me"].speakers == () and texts["them"].speakers == ("A", "B")
    with pytest.raises(SettingsError, match="single track, and there are 2: me, them"):
        labels.of_files({"me": TEXT, "them": TEXT}, files, Counts(exactly=2))


def test_known_voices_get_their_names_and_each_name_is_given_once() -> None:
    sound = np.concatenate([np.full(4 * SECOND, level, np.float32) for level in (0.1, 0.4, 0.6)])
    script = [(0, 4, 0), (4, 8, 1), (8, 12, 2)]
    diariser = ScriptedDiariser([script, script])
    voices = {"Priya": diariser.embed(np.full(9, 0.4, np.float32)), "Tom": diariser.embed(np.full(9, 1.0, np.float32))}
    labels = SpeakerLabels(lambda: diariser)
    assert said(labels.of_sound(TEXT, sound, known=voices)) == [
        ("A", "Shall we begin?"),
        ("Priya", "Yes. Who has it?"),
        ("B", "Me."),
    ]
    both = {"Priya": voices["Priya"], "Pri": voices["Priya"]}
    assert len({speaker for speaker, _ in said(labels.of_sound(TEXT, sound, known=both))} & {"Priya", "Pri"}) == 1


def test_another_voice_of_the_same_name_is_another_remembered_voice() -> None:
    first, second = (SpeakerLabels(lambda: ScriptedDiariser([]), {"Tom": row}) for row in np.eye(2, dtype=np.float32))
    assert first.remembered.keys() == second.remembered.keys() and first.remembered != second.remembered


@pytest.mark.parametrize(
    "given", [{"exactly": 0}, {"exactly": 2, "at_most": 3}, {"at_least": 3, "at_most": 2}], ids=str
)
def test_numbers_that_contradict_each_other_are_refused(given: dict[str, int]) -> None:
    with pytest.raises(SettingsError):
        Counts(**given)


def test_sound_on_disk_is_the_sound_to_16_bits() -> None:
    sound = np.linspace(-1, 1, 1000, dtype=np.float32)
    with TemporarySound([sound[:300], sound[300:300], sound[300:]]) as kept:
        assert len(kept) == 1000
        np.testing.assert_allclose(kept[250:400], sound[250:400], atol=1 / 32767)
        assert len(kept[990:2000]) == 10 and len(kept[2000:3000]) == 0


def test_sound_of_which_the_disk_takes_only_a_part_is_an_error() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1001, hard))  # a write that reaches this size is cut short there
    try:
        with TemporarySound() as kept, pytest.raises(AudioError, match="Cannot keep the sound in a temporary file"):
            kept.append(np.ones(1000, np.float32))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
