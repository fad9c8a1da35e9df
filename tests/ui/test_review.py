"""The pages Review, Report and Journal with little content."""

import pytest

from harness.server import Server
from tests.conftest import wait_until
from tests.nectar import nectar
from tests.ui.conftest import button, named, said


@pytest.fixture(scope="module")
def url(new_data):
    """A separate service for this module, because other tests leave entries to review."""
    with Server(data=new_data(), drain=0, log_level="error") as server:
        server.ready()
        yield f"http://127.0.0.1:{server.port}"


def test_without_pictures_words_and_scores_are_shown(larder, open_page):
    """If no pictures are kept, a guess is a button that labels the entry."""
    assert "Nothing to review" in said(open_page("review"))
    larder.recognise(nectar(1))
    (entry,) = larder.review()
    page = open_page("review")
    assert not page.image
    assert any("`LARDER_KEEP_PICTURES=true`" in each.value for each in page.caption)
    assert "1 thing is waiting" in page.markdown[0].value
    guesses = [each.label for each in page.button if each.label != "Dismiss"]
    assert [each.rpartition(" ")[0].rpartition(" ")[0] for each in guesses] == entry.top_k_items[:3]
    page = button(page, guesses[0])
    assert f"**{entry.top_k_items[0]}** was taught by 1 picture." in said(page)
    assert "Nothing to review" in said(page)
    larder.delete(entry.top_k_items[0])


def test_a_name_that_cannot_be_is_a_sentence(larder, open_page):
    """The entry stays in the queue."""
    wait_until(lambda: larder.recognise(nectar(2)) and larder.review().total == 1)  # what was taught is forgotten soon
    page = open_page("review")
    box = named(page.selectbox, "Another name for picture 1")
    box.options.append("salt/pepper")
    page = box.select("salt/pepper").run()
    assert "without a slash" in said(page)
    assert larder.review().total == 1
    larder.dismiss(larder.review()[0].id)


def test_a_report_on_nothing_says_what_to_do(larder, open_page):
    """There are no tables and no error."""
    page = open_page("report")
    assert "an item needs two examples or more" in said(page)
    assert not page.table


def test_the_journal_goes_on_to_older_changes(larder, open_page):
    """Pages have twenty changes, newest first, and lead back."""
    for count in range(1, 23):
        larder.set_count("rice", count)
    page = open_page("journal")
    lines = [each.value for each in page.markdown]
    assert (lines[0], len(lines)) == ("**rice** set: 21 → 22", 20)
    page = button(page, "Older")
    assert page.markdown[0].value == "**rice** set: 1 → 2"
    page = button(page, "Newest")
    assert page.markdown[0].value == "**rice** set: 21 → 22"
    larder.delete("rice")
    larder.delete(larder.add("kiwi").item)
    assert [each.value for each in open_page("journal").markdown][:2] == [
        "**kiwi** deleted: 1 → 0",
        "**kiwi** put in: 0 → 1, new",
    ]
