"""The captions page shows what is said, to who has its link, in a real browser, and loses or doubles no word."""

import json
import os
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from livecap.errors import SettingsError
from livecap.serve import captions as captions_module
from livecap.serve.access import Token
from livecap.serve.captions import KEPT, Captions
from livecap.serve.server import CaptionsServer
from livecap.session.status import SessionStatus, State, TrackStatus
from livecap.transcript import SessionStarted, SpeakerNamed, SpeakersHeard, SpeakersMerged, Voice
from tests.audio_in.waiting import eventually
from tests.export.browser import chromium
from tests.integrations.facts import update
from tests.serve.browser import Browser

TRACK = TrackStatus("", "mic", 0, 0, 0.5, True, None, None)
STATUS = SessionStatus(State.LISTENING, "tiny", True, 0.0, None, None, None, None, (TRACK,))


class Page:
    """A server with the captions of a scripted session."""

    def __init__(self, folder):
        self.status = STATUS
        self.captions = Captions(lambda: self.status)
        self.token = Token(folder / "state" / "captions-key")
        self.server = CaptionsServer(self.captions, self.token, "127.0.0.1", 0)
        self.begin()

    def begin(self, session="s", *labels):
        started = "2026-03-01T10:02:03.000+00:00"
        self.captions(SessionStarted(session, "mic", "tiny", started, True, None, "0", tracks=labels or ("",)))

    @property
    def address(self):
        return self.server.page.replace("http", "ws") + "/messages"

    @contextmanager
    def client(self, token=None, **options):
        with connect(self.address, **options) as client:
            client.send(json.dumps({"token": self.token.value if token is None else token}))
            yield client


@pytest.fixture
def page(tmp_path):
    page = Page(tmp_path)
    yield page
    page.server.close()


def received(client, until):
    """Messages until one for which `until` is true."""
    messages = []
    while not messages or not until(messages[-1]):
        messages.append(json.loads(client.recv(20)))
    return messages


def is_line(stable):
    return lambda message: message["type"] == "line" and message["stable"] == stable


# ---- messages


def test_a_client_gets_what_was_said_and_then_what_is_said(page):
    page.captions(update(0, "good morning", final=True))
    with page.client() as client:
        first = received(client, is_line("good morning"))
        assert [message["type"] for message in first] == ["hello", "line"]
        page.captions(update(1, "and", " now"))
        last = received(client, is_line("and"))[-1]
    assert last | {"id": ":1", "stable": "and", "partial": " now", "final": False, "speaker": ""} == last


def test_a_line_comes_again_with_its_speaker_once_there_are_two(page):
    for number in range(2):
        page.captions(update(number, f"line {number}", final=True))
        page.captions(SpeakersHeard("", number, (Voice(0, 16_000, number),), settled=False))
    with page.client() as client:
        lines = received(client, is_line("line 1"))[1:]
        assert [line["speaker"] for line in lines] == ["A", "B"]
        page.captions(SpeakerNamed(0, "Priya"))
        assert received(client, is_line("line 0"))[-1]["speaker"] == "Priya"


def test_a_speaker_keeps_the_colour_whatever_name_comes_or_goes(page):
    page.begin("s", "me", "them")
    page.captions(update(0, "hello", track="them", final=True))
    for number in range(2):
        page.captions(update(number, f"line {number}", track="me", final=True))
        page.captions(SpeakersHeard("me", number, (Voice(0, 16_000, number),), settled=False))

    def colors():
        with page.client() as client:
            lines = received(client, is_line("line 1"))[1:]
        return {line["stable"]: (line["speaker"], line["color"]) for line in lines}

    assert colors() == {"hello": ("them", 1), "line 0": ("A", 0), "line 1": ("B", 2)}
    page.captions(SpeakerNamed(0, "Priya"))
    page.captions(SpeakerNamed(1, "Ravi"))
    assert colors() == {"hello": ("them", 1), "line 0": ("Priya", 0), "line 1": ("Ravi", 2)}
    page.captions(SpeakerNamed(0, "Ravi"))
    assert colors() == {"hello": ("them", 1), "line 0": ("Ravi", 0), "line 1": ("Ravi", 2)}
    page.captions(SpeakersMerged(1, 0))
    assert colors()["line 1"] == ("Ravi", 0)


def test_after_a_reconnection_nothing_is_lost_or_doubled(page):
    with page.client() as client:
        page.captions(update(0, "one", " tw"))
        received(client, is_line("one"))
    page.captions(update(0, "one two", final=True))
    page.captions(update(1, "three"))
    with page.client() as client:
        lines = [message for message in received(client, is_line("three")) if message["type"] == "line"]
    assert [(line["id"], line["stable"]) for line in lines] == [(":0", "one two"), (":1", "three")]


def test_a_client_that_does_not_read_gets_only_the_newest_text_and_hurts_nobody(page):
    with page.client() as slow, page.client() as quick:
        for number in range(3000):
            page.captions(update(0, "word " * (number % 200), f"partial {number}"))
        page.captions(update(0, "the end", final=True))
        received(quick, is_line("the end"))
        assert len(received(slow, is_line("the end"))) < 3000
    assert all(len(client.changed) <= KEPT for client in page.captions._clients)


def test_old_utterances_are_dropped(page):
    for number in range(3 * KEPT):
        page.captions(update(number, f"said {number}", final=True))
    with page.client() as client:
        lines = received(client, is_line(f"said {3 * KEPT - 1}"))
    assert len(lines) == KEPT + 1


@pytest.mark.parametrize("greeting", ["", "wrong", "x" * 4000, None, 3])
def test_without_the_token_nothing_is_told(page, greeting):
    page.captions(update(0, "a secret"))
    with connect(page.address) as client:
        client.send(json.dumps({"token": greeting}))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(20)
    assert closed.value.rcvd.code in (4401, 1009)


@pytest.mark.parametrize("greeting", ["not json", "[]", "[" * 3000, b"\xff\x00", '{"token"'])
def test_a_greeting_that_is_no_greeting_closes_the_connection(page, greeting):
    with connect(page.address) as client:
        client.send(greeting)
        with pytest.raises(ConnectionClosed):
            client.recv(20)
    with page.client() as client:
        assert json.loads(client.recv(20))["type"] == "hello"


def test_a_renewed_key_closes_the_old_link_only(page):
    old = page.token.value
    page.server.renew()
    assert page.token.value != old and page.server.link.endswith(f"/captions#{page.token.value}")
    with page.client(old) as client, pytest.raises(ConnectionClosed):
        client.recv(20)
    with page.client() as client:
        assert json.loads(client.recv(20))["type"] == "hello"


def test_the_key_is_the_users_alone_and_stays(tmp_path):
    token = Token(tmp_path / "a" / "key")
    value = token.value
    assert len(value) >= 20 and Token(tmp_path / "a" / "key").value == value
    assert os.stat(tmp_path / "a" / "key").st_mode & 0o777 == 0o600
    (tmp_path / "a" / "key").write_text("short")
    assert len(token.value) >= 20


@pytest.mark.parametrize(
    ("headers", "is_served"),
    [
        ({}, True),
        ({"Host": "localhost:80"}, True),
        ({"Host": "192.168.1.5:8765"}, True),
        ({"Host": "[::1]:80"}, True),
        ({"Host": "evil.example"}, False),
        ({"Host": "evil.example:8765"}, False),
        ({"Host": "127.0.0.1.evil.example"}, False),
        ({"Host": "localhost:80", "Origin": "http://localhost:80"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
    ],
)
def test_pages_and_names_of_strangers_get_nothing(page, headers, is_served):
    import http.client  # one request with exactly these headers

    host = page.address.split("/")[2]
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.putrequest("GET", "/captions", skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status == 200) == is_served
    answer.read()
    connection.close()


def test_a_page_of_a_stranger_gets_no_message_without_the_key(page):
    for token in ("", "wrong", None, [page.token.value]):
        with connect(page.address, origin="http://evil.example") as client:
            client.send(json.dumps({"token": token}))
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(20)
            assert closed.value.rcvd.code == 4401


def test_the_page_gets_its_messages_behind_a_proxy_that_changes_the_host(page):
    with page.client(origin="https://captions.example.com") as client:
        assert json.loads(client.recv(20))["type"] == "hello"


def test_the_name_of_a_stranger_opens_no_messages(page):
    port = int(page.address.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as connection, pytest.raises(InvalidStatus, match="403"):
        connect(page.address.replace("127.0.0.1", "evil.example"), sock=connection)


def test_an_address_in_use_is_one_line(page, tmp_path):
    port = int(page.address.split(":")[2].split("/")[0])
    with pytest.raises(
        SettingsError, match=rf"^Cannot serve at 127.0.0.1:{port}: Address already in use\. Choose another port\.$"
    ):
        CaptionsServer(page.captions, page.token, "127.0.0.1", port)


@pytest.mark.parametrize(
    ("track", "changes", "hint"),
    [
        ({"trouble": "silent"}, {}, "microphone silent"),
        ({"trouble": "away"}, {}, "microphone away"),
        ({"speaking": False}, {}, "nobody speaks"),
        ({"speaking": True}, {}, "not understood"),
        ({"trouble": "silent"}, {"state": State.PAUSED}, ""),
        ({"speaking": False}, {"muted": True}, ""),
    ],
)
def test_the_page_says_why_there_is_no_text(page, monkeypatch, track, changes, hint):
    monkeypatch.setattr(captions_module, "QUIET_SECONDS", 0.2)
    page.status = replace(STATUS, tracks=(replace(TRACK, **track),), **changes)
    with page.client() as client:
        assert received(client, lambda message: message.get("hint") == hint)


def test_a_page_that_opens_later_does_not_say_what_it_did_not_hear(page, monkeypatch):
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 100)
    monkeypatch.setattr(captions_module, "time", later)
    with page.client() as client:
        assert received(client, lambda message: message["type"] == "status")[-1]["hint"] == ""


def test_the_end_of_the_session_is_told_and_closes(page):
    page.captions(update(0, "the last words", final=True))
    with page.client() as client:
        received(client, is_line("the last words"))
        page.status = replace(STATUS, state=State.ENDED)
        assert received(client, lambda message: message["type"] == "status" and message["state"] == "ended")
        with pytest.raises(ConnectionClosed):
            client.recv(20)


def test_all_clients_know_that_the_session_is_over_before_the_server_stops(page):
    with page.client() as one, page.client() as other:
        for client in (one, other):
            received(client, lambda message: message["type"] == "status")
        page.status = replace(STATUS, state=State.ENDED)
        page.server.close()
        for client in (one, other):
            assert received(client, lambda message: message["type"] == "status")[-1]["state"] == "ended"


def test_many_clients_come_and_go(page):
    with ExitStack() as stack:
        clients = [stack.enter_context(page.client()) for _ in range(60)]
        for client in clients[::2]:
            client.socket.shutdown(socket.SHUT_RDWR)  # without a goodbye
        page.captions(update(0, "still here"))
        for client in clients[1::2]:
            received(client, is_line("still here"))
    eventually(lambda: not page.captions._clients)


# ---- a real browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        yield Browser(page)


TEXT = "[...document.querySelectorAll('#lines > p')].map((p) => p.innerText).join('|')"
COLORS = "[...document.querySelectorAll('.speaker')].map((e) => getComputedStyle(e).color)"


def test_the_page_shows_stable_and_partial_text_with_speakers(page, browser):
    page.begin("s", "me", "them")
    browser.open(page.server.link)
    page.captions(update(0, "Good morning", " every", track="me"))
    page.captions(update(0, "Hello.", track="them", final=True))
    browser.until(TEXT, "me: Good morning every|them: Hello.")
    assert browser.run("document.querySelector('.partial').textContent") == " every"
    assert len(set(browser.run(COLORS))) == 2
    page.captions(update(0, "Good morning everybody.", track="me", final=True))
    browser.until(TEXT, "me: Good morning everybody.|them: Hello.")


def test_the_page_shows_a_speaker_who_is_known_or_named_after_the_text(page, browser):
    browser.open(page.server.link)
    for number in range(2):
        page.captions(update(number, f"line {number}", final=True))
    browser.until(TEXT, "line 0|line 1")
    for number in range(2):
        page.captions(SpeakersHeard("", number, (Voice(0, 16_000, number),), settled=False))
    browser.until(TEXT, "A: line 0|B: line 1")
    colors = browser.run(COLORS)
    page.captions(SpeakerNamed(0, "Priya"))
    browser.until(TEXT, "Priya: line 0|B: line 1")
    assert browser.run(COLORS) == colors and len(set(colors)) == 2


def test_text_is_never_markup(page, browser):
    browser.open(page.server.link)
    page.captions(update(0, "<img src=x onerror=alert(1)> & <b>bold</b>"))
    browser.until(TEXT, "<img src=x onerror=alert(1)> & <b>bold</b>")
    assert browser.run("document.querySelectorAll('#lines img, #lines b').length") == 0


def test_after_a_break_the_page_comes_back_with_every_word_once(page, browser, tmp_path):
    browser.open(page.server.link)
    page.captions(update(0, "before", final=True))
    browser.until(TEXT, "before")
    port = int(page.address.split(":")[2].split("/")[0])
    page.server.close()
    browser.until("document.getElementById('hint')?.textContent", "Not connected. Trying again…")
    page.captions(update(1, "during", final=True))
    page.server = CaptionsServer(page.captions, page.token, "127.0.0.1", port)
    page.captions(update(2, "after", final=True))
    browser.until(TEXT, "before|during|after")


def test_a_new_session_begins_with_an_empty_page(page, browser):
    browser.open(page.server.link)
    page.captions(update(0, "old words", final=True))
    browser.until(TEXT, "old words")
    port = int(page.address.split(":")[2].split("/")[0])
    page.server.close()
    page.captions = Captions(lambda: STATUS)
    page.begin("another")
    page.captions(update(0, "new words", final=True))
    page.server = CaptionsServer(page.captions, page.token, "127.0.0.1", port)
    browser.until(TEXT, "new words")


def test_a_wrong_link_says_so(page, browser):
    browser.open(page.server.page + "#wrong")
    browser.until(
        "document.getElementById('hint')?.textContent", "This link no longer opens the captions. Ask for a new one."
    )


@pytest.mark.parametrize(
    ("text", "direction"),
    [("שלום, הפגישה מתחילה", "rtl"), ("今日は晴れです。", "ltr"), ("مرحبا", "rtl"), ("Hello", "ltr")],
)
def test_each_script_has_its_direction(page, browser, text, direction):
    browser.open(page.server.link)
    page.captions(update(0, text))
    browser.until(TEXT, text)
    assert browser.run("getComputedStyle(document.querySelector('#lines > p')).direction") == direction


def test_the_name_of_a_speaker_does_not_decide_the_direction(page, browser):
    page.begin("s", "me", "them")
    browser.open(page.server.link)
    page.captions(update(0, "مرحبا", track="them"))
    browser.until(TEXT, "them: مرحبا")
    assert browser.run("getComputedStyle(document.querySelector('#lines > p')).direction") == "rtl"


def test_the_look_comes_from_the_address_and_from_the_menu(page, browser):
    link, key = page.server.link.split("#")
    browser.open(f"{link}?size=80&lines=2&at=top&clear=1&partial=0&color=%23ff0000&fade=nonsense#{key}")
    page.captions(update(0, "Hello", " there"))
    browser.until(TEXT, "Hello")
    assert browser.run("getComputedStyle(document.querySelector('#lines > p')).fontSize") == "80px"
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    assert browser.run("getComputedStyle(document.querySelector('.partial')).display") == "none"
    assert browser.run("getComputedStyle(document.body).color") == "rgb(255, 0, 0)"
    browser.run("document.getElementById('open').click()")
    browser.run(
        "(() => { const field = document.getElementById('menu').elements.size; field.value = 40;"
        " field.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    browser.until("getComputedStyle(document.querySelector('#lines > p')).fontSize", "40px")
    assert "size=40" in browser.run("location.search") and browser.run("location.hash") == f"#{key}"


@pytest.mark.parametrize(("width", "height", "lines"), [(1920, 1080, 3), (800, 200, 2), (390, 844, 4)])
def test_exactly_the_last_lines_are_visible_at_every_size(page, browser, width, height, lines):
    link, key = page.server.link.split("#")
    browser.open(f"{link}?size=32&lines={lines}#{key}", width, height)
    for number in range(12):
        page.captions(update(number, f"Line {number} is long enough to be wrapped on a narrow page.", final=True))
    last = "Line 11 is long enough to be wrapped on a narrow page."
    browser.until(f"{TEXT}.endsWith({json.dumps(last)})")
    box = browser.run(
        "(() => { const b = document.getElementById('lines').getBoundingClientRect();"
        " const last = document.querySelector('#lines > p:last-child').getBoundingClientRect();"
        " return [b.height, b.bottom - last.bottom, b.left, innerWidth - b.right, b.bottom - innerHeight]; })()"
    )
    assert box[0] == pytest.approx(lines * 32 * 1.3, abs=1.0)
    assert box[1] == pytest.approx(0, abs=1.0) and box[2] >= 0 and box[3] >= 0 and box[4] <= 0
    picture = browser.picture()
    assert picture.startswith(b"\x89PNG") and len(picture) > 2000
    if folder := os.environ.get("LIVECAP_PICTURES"):
        with open(f"{folder}/captions-{width}.png", "wb") as file:
            file.write(picture)


def test_text_fades_and_comes_back(page, browser):
    link, key = page.server.link.split("#")
    browser.open(f"{link}?fade=1#{key}")
    page.captions(update(0, "Hello"))
    browser.until(TEXT, "Hello")
    browser.until("document.documentElement.classList.contains('faded')")
    page.captions(update(0, "Hello again"))
    browser.until("document.documentElement.classList.contains('faded')", False)


def test_nothing_is_loaded_from_elsewhere(page, browser):
    browser.open(page.server.link)
    browser.until("document.readyState", "complete")
    own = page.server.link.partition("/captions")[0]
    loaded = browser.run("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert loaded and all(name.startswith(own) for name in loaded)


def test_closing_the_server_ends_its_thread_with_clients_connected(tmp_path):
    page = Page(tmp_path)
    with page.client() as client:
        client.recv(20)
        began = time.monotonic()
        page.server.close()
        assert time.monotonic() - began < 20
    assert not any(thread.name == "captions server" for thread in threading.enumerate())
