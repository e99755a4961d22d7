"""The caption file holds the last lines that were said, whole at any moment."""

import pytest

from livecap.errors import LogError
from livecap.files import replace_file
from livecap.integrations import caption_file
from livecap.integrations.caption_file import CaptionFile, wrapped
from livecap.transcript import SpeakerNamed, SpeakersHeard, Voice
from tests.audio_in.waiting import eventually
from tests.integrations.facts import update


@pytest.fixture
def captions(tmp_path):
    made = []

    def make(n_lines=2, with_partial=True):
        made.append(CaptionFile(tmp_path / "captions.txt", n_lines, with_partial, lambda *said: None))
        return made[0], tmp_path / "captions.txt"

    yield make
    for one in made:
        one.close()


def test_the_last_lines_are_shown_with_labels_and_partial_text(captions):
    listener, path = captions()
    assert path.read_text() == ""
    listener(update(0, "Good morning everybody, let us begin with the budget", " for", track="me"))
    eventually(lambda: path.read_text() == "me: Good morning everybody, let us begin\nwith the budget for\n")
    listener(update(1, "Yes.", track="them"))
    eventually(lambda: path.read_text() == "with the budget for\nthem: Yes.\n")
    listener(update(1, "", track="them", final=True))  # nothing was left of it
    eventually(lambda: path.read_text() == "me: Good morning everybody, let us begin\nwith the budget for\n")


def test_a_line_gets_the_label_of_its_speaker_once_there_are_two(captions):
    listener, path = captions()
    for number in range(2):
        listener(update(number, f"Line {number}."))
        listener(SpeakersHeard("", number, (Voice(0, 16_000, number),), settled=False))
    listener(SpeakerNamed(1, "Priya"))
    eventually(lambda: path.read_text() == "A: Line 0.\nPriya: Line 1.\n")


def test_text_that_may_change_is_left_out_on_request(captions):
    listener, path = captions(with_partial=False)
    listener(update(0, "Stable", " partial"))
    eventually(lambda: path.read_text() == "Stable\n")


@pytest.fixture
def written(monkeypatch):
    """Each text of the file, in order: a line may be gone before the test looks."""
    texts = []

    def write(path, pieces, durable):
        replace_file(path, pieces, durable=durable)
        texts.append("".join(pieces))

    monkeypatch.setattr(caption_file, "CLEAR_SECONDS", 0.5)
    monkeypatch.setattr(caption_file, "replace_file", write)
    return texts


def test_after_a_silence_and_at_the_end_the_file_is_empty(captions, written):
    listener, path = captions()
    listener(update(0, "Hello"))
    eventually(lambda: written == ["", "Hello\n", ""])
    listener(update(1, "Again"))
    eventually(lambda: written[3:4] == ["Again\n"])
    listener.close()
    assert path.read_text() == ""


def test_news_of_speakers_alone_do_not_keep_a_line(captions, written):
    listener, _ = captions()
    listener(update(0, "Hello"))

    def is_empty():
        listener(SpeakerNamed(1, "Priya"))
        return written == ["", "Hello\n", ""]

    eventually(is_empty)


def test_a_path_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(LogError, match=r"^Cannot write captions to .*/no/such: No such file or directory\.$"):
        CaptionFile(tmp_path / "no" / "such", 3, True, print)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a bc def", ["a bc", "def"]),
        ("abcdefgh i", ["abcde", "fgh i"]),
        ("今日は晴れ", ["今日", "は晴", "れ"]),
        ("ab  \n c", ["ab c"]),
    ],
)
def test_lines_are_filled_with_whole_words_and_wide_characters_count_twice(text, lines):
    assert wrapped(text, 5) == lines
