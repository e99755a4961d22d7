"""SessionsScreen: past sessions, the newest first, and a search in all of them."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import OptionList, Static

from livecap.archive.archive import Archive
from livecap.archive.index import SessionSummary
from livecap.archive.search import Hit, Query
from livecap.errors import LivecapError, for_user
from livecap.text.safety import printable
from livecap.text.units import length_of_time, matches, size
from livecap.tui.choices import Machine
from livecap.tui.keys import SESSIONS
from livecap.tui.screens.question_screen import QuestionScreen
from livecap.tui.widgets.ask_line import AskLine
from livecap.tui.widgets.choose_list import ChooseList
from livecap.tui.widgets.key_hints import KeyHints
from livecap.tui.widgets.notice_line import NoticeLine

MIN_WIDTH_FOR_SIZE = 80
HITS = 200
"""A search shows the newest matches, at most this many."""
TYPING_SECONDS = 0.15
"""A search starts this long after the last letter was typed."""


class SessionsScreen(Screen[Any]):
    """Reads the archive on a thread."""

    AUTO_FOCUS = "ChooseList"
    DEFAULT_CSS = """
    SessionsScreen {
        & #title { height: 1; padding: 0 1; text-style: bold; }
        & ChooseList { padding: 1 0 0 0; }
        & #sessions > .option-list--option { padding: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*SESSIONS]

    def __init__(self, folder: Path, now: Callable[[], float], machine: Machine | None = None) -> None:
        """
        Args:
            folder: the folder of all sessions.
            machine: plays sound; None if that is not possible.
        """
        super().__init__()
        self._archive, self._now, self._machine = Archive(folder), now, machine
        self._sessions: Sequence[SessionSummary] = ()
        self._hits: dict[str, Hit] = {}
        """Row of the list to its match."""
        self._names: dict[str, str] = {}
        """Row of the list to the name of its session."""
        self._to_rename = ""
        """The name of the session whose title is asked for."""
        self._query = ""

    def compose(self) -> ComposeResult:
        yield Static("Sessions", id="title", markup=False)
        yield AskLine(id="ask")
        yield ChooseList(id="sessions")
        yield NoticeLine(id="notice")
        yield KeyHints()

    def on_mount(self) -> None:
        self._list = self.query_one(ChooseList)
        self._ask_line = self.query_one(AskLine)
        self._notice = self.query_one(NoticeLine)
        self.action_refresh_list()
        self.set_interval(1.0, lambda: self._notice.tick(self._now()))

    @property
    def _wide(self) -> bool:
        """There is space for the size of a session beside its text."""
        return self.app.size.width >= MIN_WIDTH_FOR_SIZE

    def on_resize(self) -> None:
        if self._sessions and not self._query:
            self.show_sessions(self._sessions)

    def tell(self, sentence: str, severity: str = "info") -> None:
        self._notice.show(sentence, severity, self._now())

    # ---- the list

    def action_refresh_list(self) -> None:
        self._in_background(self._archive.sessions, self._take_sessions)

    def _take_sessions(self, sessions: Sequence[SessionSummary]) -> None:
        self._sessions = sessions
        if self._query:
            self._search(self._query)
        else:
            self.show_sessions(sessions)

    def _in_background(self, ask: Callable[[], Any], show: Callable[[Any], None]) -> None:
        """Call `ask` on a thread, and `show` with its result on the screen's thread."""

        def work() -> None:
            try:
                found = ask()
            except (LivecapError, OSError) as error:
                self.app.call_from_thread(self.tell, for_user(error), "error")
            else:
                self.app.call_from_thread(lambda: show(found) if self.is_attached else None)

        self.run_worker(work, thread=True, group="archive", exclusive=True)

    def show_sessions(self, sessions: Sequence[SessionSummary]) -> None:
        self._sessions = sessions
        self._hits, self._names = {}, {session.name: session.name for session in sessions}
        hours = length_of_time(sum(session.seconds for session in sessions))
        count = "1 session" if len(sessions) == 1 else f"{len(sessions)} sessions"
        empty = "No sessions yet. Each run of livecap adds one."
        self.query_one("#title", Static).update(f"{count}, {hours}" if sessions else empty)
        today = date.today()
        self._list.fill([(session.name, _session_row(session, today, self._wide)) for session in sessions])

    def show_hits(self, hits: Sequence[Hit]) -> None:
        """Show matching utterances below their sessions."""
        rows: list[tuple[str, Text]] = []
        self._hits, self._names = {}, {}
        known = {session.name: session for session in self._sessions}
        by_session: dict[str, list[Hit]] = {}
        for hit in hits:
            by_session.setdefault(hit.session, []).append(hit)
        for name, found in by_session.items():
            if name in known:
                self._names[name] = name
                rows.append((name, _session_row(known[name], date.today(), self._wide, len(found))))
            for hit in sorted(found, key=lambda hit: hit.start_sample):
                row = f"{name}\n{hit.track}\n{hit.utterance}\n{hit.start_sample}"
                self._hits[row], self._names[row] = hit, name
                rows.append((row, _hit_row(hit)))
        self._list.fill(rows)
        self._ask_line.hint(f"the newest {matches(HITS)}" if len(hits) >= HITS else matches(len(hits)))

    @property
    def _chosen(self) -> str | None:
        """The name of the highlighted session."""
        row = self._list.chosen
        return None if row is None else self._names.get(row)

    # ---- search

    def action_search(self) -> None:
        self._ask_line.ask("search", "Search all sessions", self._query)

    def on_ask_line_typed(self, message: AskLine.Typed) -> None:
        if message.purpose == "search":
            self._query = message.text.strip()
            self.set_timer(TYPING_SECONDS, lambda query=self._query: self._search(query))

    def _search(self, query: str) -> None:
        if query != self._query:
            return  # the user typed on
        if not query:
            self.show_sessions(self._sessions)
            self._ask_line.hint("")
        else:
            # A search goes on after the next one began, and may end after it.
            self._in_background(
                lambda: self._archive.search(Query(query, limit=HITS, prefix=True)),
                lambda hits: self.show_hits(hits) if query == self._query else None,
            )

    def on_ask_line_answered(self, message: AskLine.Answered) -> None:
        self._list.focus()
        if message.purpose == "name":
            self._ask_line.leave()
            self._rename(message.text)

    # ---- one session

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_open()

    def action_open(self) -> None:
        from livecap.tui.screens.session_screen import SessionScreen

        row, name = self._list.chosen, self._chosen
        if row is None or name is None:
            return
        try:
            session = self._archive.open(name)
        except LivecapError as error:
            self.tell(str(error), "error")
            return
        screen = SessionScreen(session, self._now, self._machine, self._hits.get(row), self._query)
        self.app.push_screen(screen, lambda _: self.action_refresh_list() if not self._query else None)

    def action_export(self) -> None:
        from livecap.tui.screens.export_screen import ExportScreen

        if name := self._chosen:
            try:
                screen = ExportScreen(self._archive.folder_of(name))
            except LivecapError as error:
                self.tell(str(error), "error")
                return
            self.app.push_screen(screen, lambda said: self.tell(said) if said else None)

    def action_rename(self) -> None:
        if name := self._chosen:
            self._to_rename = name
            title = next((session.title for session in self._sessions if session.name == name), "")
            self._ask_line.ask("name", "Title:", title)

    def _rename(self, title: str) -> None:
        try:
            self._archive.rename(self._to_rename, title)
        except LivecapError as error:
            self.tell(str(error), "error")
        self.action_refresh_list()

    def action_delete(self) -> None:
        name = self._chosen
        if name is None:
            return
        session = next((session for session in self._sessions if session.name == name), None)
        what = printable(session.title or session.first_words)[:40] if session else ""
        sound = " and its sound" if session and session.has_sound else ""
        question = f"Delete session {name} ({what}){sound}? This cannot be undone."
        self.app.push_screen(QuestionScreen(question), lambda yes: self._delete(name) if yes else None)

    def _delete(self, name: str) -> None:
        try:
            deleted = self._archive.delete(name)
        except LivecapError as error:
            self.tell(str(error), "error")
        else:
            self.tell(f"Deleted {name} ({size(deleted.n_bytes)} freed).{printable(deleted.stays)}")
        self._query = ""
        self._ask_line.leave()
        self.action_refresh_list()

    def action_leave(self) -> None:
        if self._ask_line.display or self._query:
            is_title = self._ask_line.purpose == "name"
            self._ask_line.leave()
            self._list.focus()
            if self._query and not is_title:
                self._query = ""
                self.show_sessions(self._sessions)
        elif len(self.app.screen_stack) > 1:
            self.dismiss(None)
        else:
            self.app.exit("finished")


def _session_row(session: SessionSummary, today: date, wide: bool, n_hits: int = 0) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{_day(session, today):<17}")
    text.append(f"{length_of_time(session.seconds):>10}  ", style="dim")
    if wide:
        text.append(f"{size(session.n_bytes):>8}  ", style="dim")
    if session.running:
        text.append("● recording  ", style="bold")
    elif not session.ended:
        text.append("no end  ", style="bold")
    if n_hits:
        text.append(f"{matches(n_hits)}  ", style="bold")
    if session.title:
        text.append(printable(session.title) + "  ", style="bold")
    text.append(printable(session.first_words) or "(nothing was said)", style="" if not session.title else "dim")
    return text


def _day(session: SessionSummary, today: date) -> str:
    """`Today 10:02`; `Thu 14:30` within a week; else `2026-03-01 10:02`."""
    started = session.started
    days = (today - started.date()).days
    if days == 0:
        return f"Today {started:%H:%M}"
    return f"{started:%a %H:%M}" if 0 < days < 7 else f"{started:%Y-%m-%d %H:%M}"


def _hit_row(hit: Hit) -> Text:
    text = Text("    ", no_wrap=True, overflow="ellipsis")
    text.append(f"{hit.at:>8}  ", style="dim")
    if hit.speaker:
        text.append(f"{printable(hit.speaker)}  ", style="bold")
    for piece, found in hit.snippet:
        text.append(printable(piece), style="reverse" if found else "")
    return text
