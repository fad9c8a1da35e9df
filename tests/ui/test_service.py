"""The page Service."""

from tests.conftest import wait_until
from tests.ui.conftest import button, named, said


def test_it_says_how_the_service_is(larder, url, open_page):
    """The page shows state, model, version and counts."""
    page = open_page("service")
    assert f"Ready. {url} answers in" in said(page).replace("*", "")
    facts = {each.label: each.value for each in page.metric}
    health = larder.health()
    assert facts["Model"] == health.model == "larder-small"
    assert facts["Labels"] == str(health.labels)
    assert facts["Version"] == health.version


def test_it_says_how_fast_the_service_answers(larder, open_page):
    """The time is measured by the page, and taken from the service's metrics."""
    page = button(open_page("service"), "Time 20 recognitions")
    assert "From here: half within" in said(page)
    times = page.table[0].value.set_index("Call")
    assert times.loc["/process-image", "Answers"] >= 20
    assert times.loc["/process-image", "Half within"].endswith(" ms")


def test_labels_are_listed_with_their_sources(larder, open_page):
    """A label of the file that is in the pantry too has both sources; part of a name is enough to find it."""
    larder.add("leek")
    wait_until(lambda: ("leek", ["file", "pantry"]) in [(each.label, each.sources) for each in larder.labels()])
    page = open_page("service")
    named(page.text_input, "Labels with").set_value("Leek").run()
    listed = page.table[1].value.set_index("Label")
    assert listed.loc["leek", "From"] == "file, pantry"
