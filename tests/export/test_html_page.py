"""The HTML page in a real browser: speech stays text, nothing is requested, search and sound work."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.archive.recorded import RecordedSession
from livecap.audio_out.waveform import peaks, write_flac
from livecap.export.formats import export_file, export_pieces
from livecap.transcript import AudioGap, Marked
from tests.archive.facts import SECOND, header, said, write
from tests.export.browser import Page, chromium

OWN = "document.title='owned'"
NASTY = f'</script><script>{OWN}</script> <img src=x onerror="{OWN}"> --> &amp; \u202etxt'
SEEK = """new Promise(done => {
  const sound = livecap.sounds[0];
  sound.onseeked = () => { sound.onseeked = null; livecap.seek(%s); done(); };
  livecap.seek(%s);
})"""


READ_CUES = """text => new Promise((done, failed) => {
  const track = document.createElement('track');
  track.src = URL.createObjectURL(new Blob([text], {type: 'text/vtt'}));
  track.onerror = failed;
  track.onload = () => done(
    [...track.track.cues].map(cue => [cue.startTime, cue.endTime, cue.getCueAsHTML().textContent]));
  document.querySelector('video').append(track);
  track.track.mode = 'hidden';
})"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as page:
        yield page


def page_of(tmp_path: Path, sound: bool) -> Path:
    facts = [
        *said(["Good morning everyone, the budget is next.", NASTY, "Can the budget carry that?", "夏天的預算"], "me")
    ]
    facts += [Marked("me", 3 * SECOND, "ask <b>finance</b>", header().wall_time), AudioGap("me", SECOND, 2 * SECOND)]
    folder = write(tmp_path / "sessions", facts)
    (folder / "title.txt").write_text('A "title" </title><script>document.title="owned"</script>')
    if sound:
        (folder / "audio").mkdir()
        seconds = np.arange(20 * SECOND) / SECOND
        soundfile.write(folder / "audio" / "me.wav", 0.5 * np.sin(seconds * 2000) * (seconds % 5 < 4), SECOND)
    return export_file(RecordedSession(folder), "html", tmp_path)


def test_the_page_is_one_file_that_requests_nothing(tmp_path: Path) -> None:
    text = page_of(tmp_path, sound=True).read_text()
    outside = re.findall(r'(?:src|href)="(?!#)[^"]*"|url\(|@import|https?://', text)
    assert outside == []
    assert "Content-Security-Policy" in text
    # Speech opens no tag: the only scripts are those of the page.
    assert len(re.findall(r"<script", text)) == 2 and "<img" not in text


def test_sound_that_is_not_to_be_kept_stays_out_of_the_page(tmp_path: Path) -> None:
    with_sound = page_of(tmp_path, sound=True)
    assert 'class="sound"' in with_sound.read_text()
    (folder,) = (path.parent for path in (tmp_path / "sessions").rglob("session.jsonl"))
    (folder / "audio" / "unsaved").touch()
    assert RecordedSession(folder).sounds
    text = "".join(export_pieces(RecordedSession(folder), "html"))
    assert 'class="sound"' not in text and 'data-peaks=""' in text


def test_speech_stays_text(page: Page, tmp_path: Path) -> None:
    path = page_of(tmp_path, sound=False)
    page.open(path)
    assert page.run("document.title") == 'A "title" </title><script>document.title="owned"</script>'
    texts = page.run("[...document.querySelectorAll('main p .text')].map(e => e.textContent)")
    assert NASTY.replace("\u202e", "") in texts and "★ ask <b>finance</b>" in texts
    assert page.run("document.querySelectorAll('main img, main script').length") == 0
    assert page.complaints == []


def test_a_search_finds_words_and_steps_through_them(page: Page, tmp_path: Path) -> None:
    path = page_of(tmp_path, sound=True)
    page.open(path)
    page.run("(() => { const f = document.getElementById('search'); f.value = 'BUDGET'; livecap.search(); })()")
    assert page.run("document.getElementById('count').textContent") == "2 found"
    assert page.run("CSS.highlights.get('found').size") == 2
    assert page.run("[...CSS.highlights.get('found')].map(String)") == ["budget", "budget"]
    enter = "document.getElementById('search').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}))"
    chosen = "document.querySelector('p.chosen .text').textContent"
    page.run(enter)
    assert page.run(chosen).startswith("Good morning")
    page.run(enter)
    assert page.run(chosen).startswith("Can the budget")
    page.run("(() => { document.getElementById('search').value = '預算'; livecap.search(); })()")
    assert page.run("[...CSS.highlights.get('found')].map(String)") == ["預算"]


def test_sound_and_words_are_in_step(page: Page, tmp_path: Path) -> None:
    path = page_of(tmp_path, sound=True)
    page.open(path)
    ready = "new Promise(d => { const a = livecap.sounds[0]; a.readyState ? d() : a.onloadedmetadata = d; })"
    page.run(ready)
    assert page.run("livecap.sounds[0].duration") == pytest.approx(20, abs=0.1)
    assert page.run("!document.getElementById('player').hidden")
    said_at = "document.querySelector('.text > span.current')?.textContent"
    page.run(SEEK % (0.1, 0.1))
    assert page.run(said_at) == "Good"
    page.run(SEEK % (12.9, 12.9))
    assert page.run(said_at) == "carry"
    assert page.run("document.querySelector('p.current .text').textContent") == "Can the budget carry that?"
    page.run("document.querySelectorAll('.text > span')[1].click()")
    assert page.run("livecap.sounds[0].currentTime") == pytest.approx(4 / 7, abs=0.3)
    assert page.complaints == []


@pytest.mark.parametrize("form", ["FLOAT", "DOUBLE", "PCM_16", "PCM_24"])
def test_a_page_plays_sound_in_whatever_form_it_was_kept(form: str, tmp_path: Path) -> None:
    sound = np.array([-1.0, 0.5, 2**-15, 0.0, 0.25, 1 - 2**-15])
    soundfile.write(tmp_path / "sound.wav", sound, SECOND, subtype=form)
    kept, _ = soundfile.read(tmp_path / "sound.wav")
    write_flac(tmp_path / "sound.wav", tmp_path / "sound.flac")
    played, _ = soundfile.read(tmp_path / "sound.flac")
    np.testing.assert_allclose(played, kept, rtol=0, atol=0 if form == "PCM_16" else 2**-15)


def test_samples_that_are_not_numbers_do_not_end_the_waveform(tmp_path: Path) -> None:
    samples = np.full(SECOND, 0.5, np.float32)
    samples[10], samples[11] = np.nan, np.inf
    samples[SECOND // 2 :] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, SECOND, subtype="FLOAT")
    assert peaks(tmp_path / "a.wav", 4, 1.0) == [100, 50, 0, 0]


def test_words_that_two_tracks_say_at_once_are_in_step(page: Page, tmp_path: Path) -> None:
    facts = [*said(["one two three four five six seven eight"], "me"), *said(["nine"], "them")]
    folder = write(tmp_path / "sessions", facts, header(tracks=("me", "them")))
    (folder / "audio").mkdir()
    for label in ("me", "them"):
        soundfile.write(folder / "audio" / f"{label}.wav", np.zeros(5 * SECOND), SECOND)
    page.open(export_file(RecordedSession(folder), "html", tmp_path))
    page.run("new Promise(d => { const a = livecap.sounds[0]; a.readyState ? d() : a.onloadedmetadata = d; })")
    page.run(SEEK % (3.9, 3.9))
    assert page.run("document.querySelector('.text > span.current')?.textContent") == "eight"
    assert page.complaints == []


def test_the_longest_track_tells_the_time(page: Page, tmp_path: Path) -> None:
    facts = [*said(["Good morning."], "me"), *said(["Hello."] * 5, "them")]
    folder = write(tmp_path / "sessions", facts, header(tracks=("me", "them")))
    (folder / "audio").mkdir()
    seconds = np.arange(20 * SECOND) / SECOND
    soundfile.write(folder / "audio" / "me.wav", np.full(4 * SECOND, 0.5), SECOND)
    soundfile.write(folder / "audio" / "them.wav", 0.25 * (seconds >= 15), SECOND)
    page.open(export_file(RecordedSession(folder), "html", tmp_path))
    page.run("Promise.all(livecap.sounds.map(a => new Promise(d => a.readyState ? d() : a.onloadedmetadata = d)))")
    drawn = page.run("document.getElementById('wave').dataset.peaks.split(',').map(Number)")
    assert drawn == [50] * 120 + [0] * 330 + [25] * 150
    page.run(SEEK % (17, 17))
    assert page.run("document.getElementById('clock').textContent") == "0:17 / 0:20"
    assert page.run("document.querySelector('.text > span.current')?.textContent") == "Hello."
    play = "document.getElementById('play').click()"
    playing = "livecap.sounds.map(a => !a.paused)"
    assert page.run(f"({play}, [{playing}, (livecap.seek(1), {playing})])") == [[True, False], [True, True]]
    assert page.complaints == []


def test_a_phone_shows_the_page_without_horizontal_scrolling(page: Page, tmp_path: Path) -> None:
    page.open(page_of(tmp_path, sound=True))
    page.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
    page.run("new Promise(d => { const a = livecap.sounds[0]; a.readyState ? d() : a.onloadedmetadata = d; })")
    page.run(SEEK % (4.5, 4.5))
    assert page.run("document.getElementById('clock').textContent") == "0:04 / 0:20"
    assert page.run("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_dark_and_paper_are_legible(page: Page, tmp_path: Path, scheme: str) -> None:
    path = page_of(tmp_path, sound=True)
    page.open(path)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    colours = page.run("(() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]; })()")
    text, back = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert (text < back) == (scheme == "light") and abs(text - back) > 450
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.run("getComputedStyle(document.getElementById('bar')).display") == "none"
    ink = page.run("getComputedStyle(document.querySelector('.mark .text')).color")
    assert ink == "rgb(0, 0, 0)", "paper is white in any colour scheme"
    assert page.call("Page.printToPDF")["data"].startswith("JVBERi0")


def test_a_browser_shows_every_cue_of_webvtt_as_it_was_said(page: Page, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "sessions", [*said(["Good morning everyone.", NASTY], "me"), *said(["夏天的預算。"], "them")]
    )
    text = "".join(export_pieces(RecordedSession(folder), "vtt"))
    (tmp_path / "page.html").write_text("<!DOCTYPE html><video></video>")
    page.open(tmp_path / "page.html")
    cues = page.run(f"({READ_CUES})({json.dumps(text)})")
    assert len(cues) == text.count(" --> ")
    assert all(1 <= end - start <= 7 for start, end, _ in cues)
    shown = " ".join(" ".join(line.split()) for _, _, line in cues)
    assert "".join(NASTY.replace("\u202e", "").split()) in "".join(shown.split()) and "夏天的預算。" in shown
