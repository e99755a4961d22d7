"""How often one client may ask, and which web pages may: without `--allow-origin` none but the server's own."""

import asyncio
import contextlib
import json
import threading
from types import SimpleNamespace

import httpx
import openai
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient, WebSocketDenialResponse
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe
from wyoming.ping import Ping

from livecap.cli import serve_work
from livecap.cli.main import run
from livecap.engine import EngineSettings
from livecap.errors import LivecapError, SettingsError
from livecap.serve import rate as rate_module
from livecap.serve import run as run_module
from livecap.serve.access import listening_socket
from livecap.serve.app import make_app
from livecap.serve.http import config_of
from livecap.serve.rate import MOST_A_MINUTE, Rate
from livecap.serve.wyoming import Wyoming
from livecap.settings.values import ORIGIN
from tests.serve.test_captions_page import Page
from tests.serve.test_wyoming import answers

KEY = "a-key-of-enough-letters"
HAS_KEY = {"Authorization": f"Bearer {KEY}"}
PAGE = "https://app.example.com"
WS = "ws://localhost"
LIVE = ["/v1/listen", "/v1/events", "/v1/realtime"]


@pytest.fixture
def now():
    """The time in seconds, as a list that a test changes."""
    return [1000.0]


@pytest.fixture
def make(tmp_path, now):
    """Makes an application; clients of it by address."""

    def make(most=1000, key=None, origins=()):
        worker = SimpleNamespace(settings=EngineSettings("tiny"))
        app = make_app(worker, tmp_path, key, 1 << 20, print, (), Rate(most, lambda: now[0]), origins)
        app.at = lambda address: TestClient(app, base_url="http://localhost", client=(address, 1))
        return app

    return make


# ---- how often


def test_a_minutes_requests_come_at_once_and_then_each_when_it_is_due(now):
    rate = Rate(4, lambda: now[0])
    assert [rate.wait("a") for _ in range(6)] == [0, 0, 0, 0, 15, 15], "one that is refused does not count"
    assert rate.wait("b") == 0
    now[0] += 15
    assert [rate.wait("a") for _ in range(2)] == [0, 15]
    now[0] += 6000
    assert [rate.wait("a") for _ in range(5)] == [0, 0, 0, 0, 15], "time does not add up to more than a minute's"


def test_the_client_that_has_not_asked_for_longest_is_forgotten(now, monkeypatch):
    monkeypatch.setattr(rate_module, "MOST_CLIENTS", 10)
    rate = Rate(1, lambda: now[0])
    rate.wait("a")
    for number in range(1000):
        rate.wait(str(number))
        assert rate.wait("a") > 0 and len(rate._free_at) <= 10
    assert rate.wait("0") == 0


def test_too_many_requests_are_refused_in_the_clients_shape_until_there_is_room(make, now):
    with make(most=3).at("10.0.0.1") as http:
        client = openai.OpenAI(base_url="http://localhost/v1", api_key="none", http_client=http, max_retries=0)
        for _ in range(3):
            client.models.list()
        with pytest.raises(openai.RateLimitError, match="Too many requests. Try again in 20 s.") as refused:
            client.models.list()
        assert refused.value.response.headers["retry-after"] == "20"
        assert refused.value.code == "rate_limit_exceeded" and refused.value.type == "rate_limit_error"
        now[0] += 20
        assert client.models.list().data[0].id == "tiny"
        assert http.get("/v1/models").status_code == http.get("/nothing").status_code == 429
        assert http.get("/health").status_code == 200, "a monitor always gets an answer"


def test_connections_of_live_clients_count_too(make):
    app = make(most=2)
    client = app.at("10.0.0.1")
    with client.websocket_connect(f"{WS}/v1/events"):
        pass
    assert client.get("/v1/models").status_code == 200
    for path in LIVE:
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(WS + path):
            pass
        assert refused.value.status_code == 429 and refused.value.headers["retry-after"] == "30"
    found = dict(app.state.requests.samples())
    assert all(found[f'{{path="{path}",outcome="refused"}}'] == 1 for path in LIVE)


def test_who_has_the_key_is_one_client_and_who_has_it_not_is_known_by_address(make):
    app = make(most=2, key=KEY)
    first, second = app.at("10.0.0.1"), app.at("10.0.0.2")

    def statuses(client, headers, n):
        return [client.get("/v1/models", headers=headers).status_code for _ in range(n)]

    wrong = {"Authorization": "Bearer wrong"}
    assert statuses(first, wrong, 3) == [401, 401, 429], "keys cannot be guessed at any rate"
    assert statuses(first, HAS_KEY, 1) == [200], "nor can others use up what the key allows"
    assert statuses(second, HAS_KEY, 2) == [200, 429]
    assert statuses(second, {}, 1) == [401]


def test_a_live_client_without_the_key_gets_the_status_that_says_so(make):
    client = make(key=KEY).at("10.0.0.1")
    for path in LIVE:
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(WS + path):
            pass
        assert refused.value.status_code == 401 and refused.value.json()["error"]["code"] == "invalid_api_key"
        assert refused.value.headers["www-authenticate"] == "Bearer"


def test_a_live_client_at_no_path_of_ours_gets_the_status_that_says_so(make):
    client = make(key=KEY).at("10.0.0.1")
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(f"{WS}/v2/listen", headers=HAS_KEY),
    ):
        pass
    assert refused.value.status_code == 404 and "nothing at this path" in refused.value.json()["error"]["message"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::", "0.0.0.0"])
async def test_a_proxy_on_this_computer_is_believed_whatever_the_server_listens_to(host):
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse(request.client.host))])
    try:
        listener = listening_socket(host, 0)
    except LivecapError:
        pytest.skip("no IPv6 here")
    with contextlib.closing(listener):
        server = uvicorn.Server(config_of(app, 1 << 20, 1))
        serving = asyncio.create_task(server.serve([listener]))
        async with httpx.AsyncClient() as client:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            try:
                answer = await client.get(url, headers={"X-Forwarded-For": "10.0.0.9"})
            except httpx.ConnectError:
                assert host == "::"  # IPv6 alone
            else:
                assert answer.text == "10.0.0.9"
        server.should_exit = True
        await serving


async def test_connections_of_wyoming_count_too():
    outcomes = []
    server = Wyoming(SimpleNamespace(settings=EngineSettings("tiny")), print, outcomes.append, Rate(1, lambda: 0.0))
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as listener:
        await server.open(listener)
        port = listener.getsockname()[1]
        async with AsyncTcpClient("127.0.0.1", port) as client:
            await answers(client, Describe(), until="info")
            await answers(client, Ping(), until="pong")
        async with AsyncTcpClient("127.0.0.1", port) as client:
            async with asyncio.timeout(30):
                [said] = await answers(client)
        await server.close(10)
    assert Error.from_event(said) == Error("Too many requests. Try again in 60 s.", "rate_limit_exceeded")
    assert outcomes.count("refused") == 1


def test_the_captions_page_has_the_usual_limit_for_each_address(tmp_path, monkeypatch):
    monkeypatch.setattr("livecap.serve.server.Rate", lambda: Rate(2, lambda: 0.0))
    page = Page(tmp_path)
    try:
        assert httpx.get(page.server.page).status_code == 200
        with page.client() as client:
            assert json.loads(client.recv(20))["type"] == "hello"
        with pytest.raises(InvalidStatus) as refused, connect(page.address):
            pass
        assert refused.value.response.status_code == 429 and refused.value.response.headers["Retry-After"] == "30"
        assert httpx.get(page.server.page).status_code == 429
    finally:
        page.server.close()


# ---- which web pages


def preflight(client, origin=PAGE, method="POST", **more):
    names = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": NAMES}
    return client.options("/v1/audio/transcriptions", headers=names | more)


NAMES = "authorization, content-type, x-stainless-os"


def allowed(answer):
    return answer.headers.get("access-control-allow-origin")


def test_a_page_that_is_allowed_may_ask_and_read_the_answer(make):
    client = make(key=KEY, origins=[PAGE]).at("10.0.0.1")
    for method in ("GET", "POST", "DELETE"):
        answer = preflight(client, method=method)
        assert answer.status_code == 200 and allowed(answer) == PAGE, "a browser sends no key here"
        assert method in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == NAMES
    assert preflight(client, **{"Access-Control-Request-Private-Network": "true"}).status_code == 200
    answer = client.get("/v1/models", headers={"Origin": PAGE} | HAS_KEY)
    assert answer.status_code == 200 and allowed(answer) == PAGE and "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers
    without = client.get("/v1/models", headers={"Origin": PAGE})
    assert without.status_code == 401 and allowed(without) == PAGE, "the page sees why"


def test_a_page_that_asks_too_often_sees_when_it_may_ask_again(make):
    client = make(most=1, origins=[PAGE]).at("10.0.0.1")
    _, answer = (client.get("/v1/models", headers={"Origin": PAGE}) for _ in range(2))
    assert answer.status_code == 429 and allowed(answer) == PAGE
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["null", "*", "http://app.example.com", f"{PAGE}:444", f"{PAGE}.evil.example"])
def test_every_other_page_is_refused(make, origin):
    client = make(origins=[PAGE]).at("10.0.0.1")
    for answer in (preflight(client, origin), client.get("/v1/models", headers={"Origin": origin})):
        assert answer.status_code == 403 and allowed(answer) is None
    for path in LIVE:
        denied = pytest.raises(WebSocketDenialResponse)
        with denied as refused, client.websocket_connect(WS + path, headers={"Origin": origin}):
            pass
        assert refused.value.status_code == 403


def test_a_page_that_is_allowed_may_connect_and_only_under_a_name_of_this_computer(make):
    client = make(origins=[PAGE]).at("10.0.0.1")
    with client.websocket_connect(f"{WS}/v1/realtime", headers={"Origin": PAGE}) as socket:
        assert socket.receive_json()["type"] == "session.created"
    assert preflight(client, Host="evil.example").status_code == 403


def test_without_an_origin_that_is_allowed_nothing_is_said_to_pages(make):
    client = make().at("10.0.0.1")
    assert preflight(client).status_code == 403
    answer = client.get("/v1/models", headers={"Origin": "http://localhost"})
    assert answer.status_code == 200 and allowed(answer) is None and "vary" not in answer.headers


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("https://App.Example.com/", PAGE),
        ("https://app.example.com:443", PAGE),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:80", "http://[::1]"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
    ],
)
def test_an_origin_is_taken_as_browsers_write_it(typed, origin):
    assert ORIGIN.from_text(typed) == origin


@pytest.mark.parametrize("typed", ["*", "https://*", "null", "", "app.example.com", f"{PAGE}/path", f"{PAGE}\n"])
def test_what_is_no_origin_is_one_clear_line(capsys, typed):
    with pytest.raises(SystemExit) as ended:
        run(["serve", "--allow-origin", typed])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1
    assert "--allow-origin must be the origin of a web page, such as https://app.example.com, without a path" in said


@pytest.mark.parametrize(
    ("arguments", "most", "origins"),
    [
        ([], MOST_A_MINUTE, []),
        (["--max-rate", "90", "--allow-origin", PAGE, "--allow-origin", "http://localhost:3000"], 90,
         [PAGE, "http://localhost:3000"]),
    ],
)  # fmt: skip
def test_the_options_reach_the_server(monkeypatch, arguments, most, origins):
    given = {}
    monkeypatch.setattr(serve_work, "serve", lambda *rest, **named: given.update(named))
    assert run(["serve", "--model", "tiny", *arguments]) == 0
    assert (given["most_a_minute"], given["origins"]) == (most, origins)


def test_both_servers_share_the_limit(monkeypatch):
    def made(worker, *given):
        *_, rate, origins = given
        assert [rate.wait("a") > 0 for _ in range(3)] == [False, False, True] and origins == [PAGE]
        return SimpleNamespace(state=SimpleNamespace(requests=SimpleNamespace(count_wyoming=print)))

    def made_wyoming(worker, say, count, rate):
        assert rate.wait("a") > 0
        raise SettingsError("Both are made.")

    monkeypatch.setattr(run_module, "Worker", lambda *given: SimpleNamespace(start=list, close=list))
    monkeypatch.setattr(run_module, "make_app", made)
    monkeypatch.setattr(run_module, "Wyoming", made_wyoming)
    with pytest.raises(SettingsError, match="Both are made"):
        run_module.serve(
            EngineSettings("tiny"), "127.0.0.1", 0, None, 1, print, threading.Event(), most_a_minute=2, origins=[PAGE]
        )
