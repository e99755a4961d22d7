"""The rows of a page: layout in pieces equals layout at once, and a change reports exactly the changed rows."""

from hypothesis import given
from hypothesis import strategies as st

from livecap.transcript import TranscriptUpdate
from livecap.tui.transcript.page import Form, Page
from livecap.tui.transcript.paragraph import Paragraph

texts = st.lists(
    st.tuples(st.sampled_from(["", "me", "them"]), st.text(st.sampled_from("abc de 字。"), max_size=80)), max_size=20
)
forms = st.builds(Form, st.integers(4, 40), st.booleans(), st.integers(0, 1))


def made(said, form):
    """A page that had its form from the beginning."""
    page = Page(form)
    for number, (track, text) in enumerate(said):
        page.insert(Paragraph(track, number, stable=text))
    return page


def rows(page):
    """For every row of the page (index of the paragraph, row in it, text); None between paragraphs."""
    found = []
    for row in range(page.n_rows):
        at = page.at(row)
        found.append(None if at is None else (*at, page.paragraphs[at[0]].row(at[1])))
    return found


@given(texts, forms, forms, st.integers(1, 5))
def test_layout_in_pieces_equals_layout_at_once(said, before, after, piece):
    page = made(said, before)
    page.take_form(after)
    while not page.is_laid_out:
        page.lay_out_some(piece)
    assert rows(page) == rows(made(said, after))


@given(texts, forms, forms, st.integers(0, 60), st.integers(0, 20))
def test_visible_rows_are_laid_out_first(said, before, after, first, n):
    page = made(said, before)
    page.take_form(after)
    while page.lay_out_rows(first, first + n):
        pass
    for row in range(first, min(first + n, page.n_rows)):
        if (at := page.at(row)) is not None:
            assert page.paragraphs[at[0]].form == (after.width, after.has_gutter)


@given(texts, forms)
def test_loading_equals_appending(said, form):
    page = Page(form)
    page.extend(Paragraph(track, number, stable=text) for number, (track, text) in enumerate(said))
    while not page.is_laid_out:
        page.lay_out_some(3)
    assert rows(page) == rows(made(said, form))


@given(texts, forms, st.data())
def test_a_change_returns_the_rows_that_look_different(said, form, data):
    page = made([*said, ("", "begin")], form)
    index = len(page) - 1
    before = rows(page)
    text = "begin" + data.draw(st.text(st.sampled_from("ab c"), max_size=60))
    changed = page.change(index, TranscriptUpdate("", 0, text[:5], text[5:], 0, 1, None, False))
    after = rows(page)
    if changed is None:
        assert len(before) != len(after) or before == after
    else:
        different = {row for row in range(len(after)) if before[row] != after[row]}
        assert different <= set(changed) and len(before) == len(after)


@given(texts, forms)
def test_every_row_belongs_to_one_paragraph_in_order(said, form):
    page = made(said, form)
    seen = [at[:2] for at in rows(page) if at is not None]
    assert seen == sorted(set(seen)) and len(seen) == page.n_text_rows(0)
    for index in range(len(page)):
        if page.height(index):
            assert page.at(page.top(index)) == (index, 0)


def test_searching_ignores_case():
    page = made([("", "The Budget"), ("", "no"), ("", "Straße und BUDGET")], Form(20, True, 1))
    assert page.find("budget") == [0, 2] and page.find("strasse") == [2] and page.find("x") == []


@given(texts, forms, st.randoms(use_true_random=False))
def test_paragraphs_that_come_late_stand_where_they_began(said, form, random):
    paragraphs = [Paragraph(track, number, stable=text) for number, (track, text) in enumerate(said)]
    random.shuffle(paragraphs)
    page = Page(form)
    for paragraph in paragraphs:
        index = page.insert(paragraph)
        assert page.paragraphs[index] is paragraph and page.index_of(paragraph) == index
    assert rows(page) == rows(made(said, form))
