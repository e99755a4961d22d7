"""Speed of the archive: search over thousands of hours of text, and the log of a whole day.

python -m benchmarks.archive --hours 10000 --out docs/benchmarks/archive.json
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from livecap.archive.archive import Archive
from livecap.archive.folder import EVENTS
from livecap.archive.index import INDEX, Index
from livecap.archive.line import encode_line
from livecap.archive.log import SessionLog
from livecap.archive.recorded import RecordedSession
from livecap.archive.search import Query
from livecap.eval.figures import percentiles
from livecap.eval.output import as_json, store_figures
from livecap.eval.provenance import machine
from livecap.export.formats import export_pieces
from livecap.this_machine import peak_resident_bytes
from livecap.transcript import (
    SAMPLE_RATE,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    TextCommitted,
    UtteranceEnded,
    Word,
)

UTTERANCE_SECONDS = 10
WORDS_AN_UTTERANCE = 25
"""150 words per minute, as in a talk."""
VOCABULARY = 50_000
FIRST = datetime(2020, 1, 1, 9, tzinfo=UTC)
N_SHORT_WORDS = 100
"""How many of the most frequent words are short, as in most languages."""
N_SEARCHES = 20
"""How often each query is timed."""


class Speech:
    """Random sentences with word frequencies of a natural language (Zipf), in Latin letters or Chinese."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "il")]
        self.words = self._random.sample(syllables, N_SHORT_WORDS)
        self.words += ["".join(self._random.choices(syllables, k=2 + n % 3)) for n in range(VOCABULARY - N_SHORT_WORDS)]
        self._weights = [0.0] * VOCABULARY
        total = 0.0
        for rank in range(VOCABULARY):
            total += 1 / (rank + 1)
            self._weights[rank] = total
        self.han = [chr(0x4E00 + i) for i in range(3000)]

    def sentence(self) -> str:
        """About ten seconds of speech."""
        return " ".join(self._random.choices(self.words, cum_weights=self._weights, k=WORDS_AN_UTTERANCE))

    def chinese(self) -> str:
        """About ten seconds of speech in Chinese characters."""
        return "".join(self._random.choices(self.han, cum_weights=self._weights[:3000], k=40))


def write_hour(parent: Path, speech: Speech, number: int) -> None:
    """Write the log of one hour; every fourth hour is Chinese."""
    started = FIRST + timedelta(hours=5 * number)
    folder = parent / f"{started:%Y-%m-%d_%H-%M-%S}"
    folder.mkdir(parents=True)
    facts: list[SessionEvent] = [_header(folder.name, started)]
    language, sentence = ("Chinese", speech.chinese) if number % 4 == 3 else ("English", speech.sentence)
    track = ("me", "them")[number // 2 % 2]
    for i in range(3600 // UTTERANCE_SECONDS):
        start = i * UTTERANCE_SECONDS * SAMPLE_RATE
        facts.append(UtteranceEnded(track, i, sentence(), start, start + 9 * SAMPLE_RATE, language))
    facts.append(SessionEnded(3600 * SAMPLE_RATE, "stopped"))
    (folder / EVENTS).write_bytes(b"".join(encode_line(fact, float(n), n) for n, fact in enumerate(facts)))


def measure_search(n_hours: int, folder: Path) -> dict[str, Any]:
    """Write the logs of many hours, index them, and time searches."""
    speech, archive = Speech(1), Archive(folder)
    for number in range(n_hours):
        write_hour(folder, speech, number)
    start = time.perf_counter()
    with Index(folder) as index:
        assert index.refresh(archive.names) == []
    index_seconds = time.perf_counter() - start
    searches = {name: _measured(archive, query) for name, query in _queries(speech, archive, n_hours).items()}
    times = [search.pop("times") for search in searches.values()]
    return {
        "hours": n_hours,
        "log_megabytes": round(sum(path.stat().st_size for path in folder.rglob(EVENTS)) / 1e6, 1),
        "index_megabytes": round((folder / INDEX).stat().st_size / 1e6, 1),
        "index_seconds": round(index_seconds, 1),
        "list_ms": _percentiles(_times(archive.sessions, 3))["p50_ms"],
        "searches": searches,
        "all_searches": _percentiles([time for some in times for time in some]),
        "slowest_p95_ms": max(search["p95_ms"] for search in searches.values()),
        "delete_seconds": round(_times(lambda: archive.delete(archive.names()[n_hours // 2]), 1)[0], 1),
    }


def _queries(speech: Speech, archive: Archive, n_hours: int) -> dict[str, Query]:
    """Typical queries, and the most expensive ones."""
    words, han, middle = speech.words, speech.han, FIRST + timedelta(hours=5 * n_hours // 2)
    oldest = archive.names()[-1]
    return {
        "a rare word": Query(words[-10]),
        "a common word": Query(words[200]),
        "the commonest word": Query(words[0]),
        "two common words": Query(f"{words[1]} {words[2]}"),
        "a common and a rare word": Query(f"{words[0]} {words[20_000]}"),
        "no such word": Query("xylophone"),
        "a phrase": Query(f'"{words[0]} {words[1]} {words[2]}"'),
        "a phrase of a common and a rare word": Query(f'"{words[3]} {words[20_000]}"'),
        "a phrase of common words that nobody said": Query('"' + " ".join(words[i] for i in (5, 3, 4, 2, 1, 6)) + '"'),
        "one letter": Query(words[300][:1], prefix=True),
        "two letters of a word": Query(words[300][:2], prefix=True),
        "three letters of a word": Query(words[300][:3], prefix=True),
        "four letters of a word": Query(words[300][:4], prefix=True),
        "a word and two letters of the next": Query(f"{words[40]} {words[300][:2]}", prefix=True),
        "Chinese, one character": Query(han[0]),
        "Chinese, two characters": Query(han[5] + han[16]),
        "Chinese, four characters": Query("".join(han[:4])),
        "Chinese, two rare characters": Query(han[2500] + han[2600]),
        "Chinese, a phrase of common characters that nobody said": Query("".join(han[i] for i in (3, 1, 2, 0, 4, 5))),
        "with a label": Query(words[50], label="them"),
        "with a label that has none": Query(words[50], label="nobody"),
        "with a language": Query(words[5], language="English"),
        "with a language that has none": Query(words[5], language="Chinese"),
        "since half of the time": Query(words[1000], since=middle),
        "until half of the time": Query(words[1000], until=middle),
        "until the first day": Query(words[0], until=FIRST + timedelta(days=1)),
        "a common word in the oldest session": Query(words[0], session=oldest),
        "a rare word in the oldest session": Query(words[3000], session=oldest),
    }


def _measured(archive: Archive, query: Query) -> dict[str, Any]:
    began = time.process_time()
    hits = archive.search(query)
    times = _times(lambda: archive.search(query), N_SEARCHES)
    processor_ms = round((time.process_time() - began) * 1000 / (N_SEARCHES + 1), 1)
    return {"hits": len(hits), **_percentiles(times), "processor_ms": processor_ms, "times": times}


def measure_day(folder: Path) -> dict[str, Any]:
    """Write the log of 24 hours with all events of a session; time writing, opening and exporting."""
    speech = Speech(2)
    log = SessionLog(folder, FIRST)
    log.append(_header(log.session, FIRST), 0.0)
    n_facts, append_seconds = 1, 0.0
    before = peak_resident_bytes() / 1e6
    for number in range(24 * 3600 // UTTERANCE_SECONDS):
        for event in _utterance(number, speech.sentence()):
            start = time.perf_counter()
            log.append(event, number * 10.0)
            append_seconds += time.perf_counter() - start
            n_facts += 1
    log.flush(60)
    written = peak_resident_bytes() / 1e6 - before
    log.append(SessionEnded(24 * 3600 * SAMPLE_RATE, "stopped"), 86_400.0)
    log.close()
    path = log.folder

    def last_hour() -> None:
        assert len(list(RecordedSession(path, last_seconds=3600).utterances())) >= 360

    start = time.perf_counter()
    whole = RecordedSession(path)
    open_seconds = time.perf_counter() - start
    start = time.perf_counter()
    n_bytes = sum(len(piece) for piece in export_pieces(whole, "srt"))
    export_seconds = time.perf_counter() - start
    for form in ("txt", "json", "html"):
        for _ in export_pieces(whole, form):
            pass
    return {
        "facts": n_facts,
        "log_megabytes": round((path / EVENTS).stat().st_size / 1e6, 1),
        "append_ms": round(append_seconds / n_facts * 1000, 3),
        "writer_megabytes_more": round(written, 1),
        "reader_and_exports_megabytes_more": round(peak_resident_bytes() / 1e6 - before - written, 1),
        "open_last_hour_ms": _percentiles(_times(last_hour, N_SEARCHES)),
        "open_whole_seconds": round(open_seconds, 2),
        "export_srt_seconds": round(export_seconds, 2),
        "export_srt_megabytes": round(n_bytes / 1e6, 1),
    }


def _utterance(number: int, sentence: str) -> Iterator[TextCommitted | UtteranceEnded]:
    """All events of one utterance: text committed in five pieces, and the end with word times."""
    start, end = number * UTTERANCE_SECONDS * SAMPLE_RATE, (number + 1) * UTTERANCE_SECONDS * SAMPLE_RATE - SAMPLE_RATE
    words = sentence.split()
    for i in range(0, len(words), 5):
        text = (" " if i else "") + " ".join(words[i : i + 5])
        yield TextCommitted("", number, text, start, start + (end - start) * (i + 5) // len(words))
    at = [start + (end - start) * i // len(words) for i in range(len(words) + 1)]
    timed = tuple(Word(word, at[i], at[i + 1], "agreed") for i, word in enumerate(words))
    yield UtteranceEnded("", number, sentence, start, end, "English", timed)


def _header(session: str, started: datetime) -> SessionStarted:
    return SessionStarted(session, "Microphone", "tiny", started.isoformat(), True, None, "0")


def _times(call: Callable[[], object], n: int) -> list[float]:
    """The wall-clock seconds of each of `n` calls."""
    times = []
    for _ in range(n):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def _percentiles(times: list[float]) -> dict[str, float]:
    found = percentiles([1000 * seconds for seconds in times])
    assert found is not None
    return {"p50_ms": found["p50"], "p95_ms": found["p95"]}


def main() -> None:
    """Measure, print the figures, and store them with --out."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.archive", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=10_000, help="hours of text to search")
    parser.add_argument(
        "--folder", type=Path, help="folder for the logs, several gigabytes (default: the system's temporary folder)"
    )
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=options.folder) as name:
        day = measure_day(Path(name) / "day")
        search = measure_search(options.hours, Path(name) / "search")
    result = {"machine": machine(), "day": day, "search": search}
    print(as_json(result))
    if options.out:
        store_figures(options.out, result)


if __name__ == "__main__":
    main()
