"""The page Classify."""

from app.ui.sentences import plain
from harness.server import ROOT
from tests.ui.conftest import named, said, sample, upload


def choose(page, labels: str):
    named(page.text_area, "Labels, with commas between them").set_value(labels).run()
    return page


def test_labels_are_weighed_against_each_other(larder, open_page):
    """Typed labels get the service's probabilities, best first, next to the picture."""
    page = choose(upload(open_page("classify"), sample("banana")), "cucumber, banana,\na carton of milk")
    found = larder.classify(sample("banana"), ["cucumber", "banana", "a carton of milk"])
    [table] = page.html
    for share in found.result.values():
        assert f"{share:.1%}".replace("%", " %") in table.value
    assert table.value.index(">banana<") < table.value.index(">cucumber<")
    assert len(page.image) == 1
    assert "Confident" in said(page)


def test_each_by_itself_and_none_of_these(larder, open_page):
    """The two switches change the request."""
    page = choose(upload(open_page("classify"), sample("banana")), "banana, carrots")
    assert "none of these" not in page.html[0].value
    named(page.toggle, "Allow “none of these”").set_value(True).run()
    assert "none of these" in page.html[0].value
    named(page.toggle, "Each label by itself").set_value(True).run()
    found = larder.classify(sample("banana"), ["banana", "carrots"], mode="independent", none_of_these=True)
    assert f"{found.result['carrots']:.1%}".replace("%", " %") in page.html[0].value
    assert any("whatever the others are" in each.value for each in page.caption)


def test_a_label_file_with_categories(larder, open_page):
    """The project's own file for moderation gives a table of categories and one of labels."""
    data = (ROOT / "labels/moderation.txt").read_bytes()
    page = upload(open_page("classify"), sample("banana"))
    file = next(each for each in page.file_uploader if each.label.startswith("Or a label file"))
    file.set_value(("moderation.txt", data, "text/plain")).run()
    categories, labels = (each.value for each in page.html)
    assert ">harmless<" in categories
    assert ">a photo of a naked person<" in labels


def test_labels_that_cannot_be_used_are_sentences(larder, open_page):
    """No labels, partial categories and a repeated label give a sentence."""
    page = upload(open_page("classify"), sample("banana"))
    assert "Write at least one label" in said(choose(page, " "))
    assert "“banana” has no category" in said(choose(page, "a car | vehicle, banana"))
    assert "are one label" in said(choose(page, "banana, Banana"))
    assert not page.html


def test_what_the_model_knows_is_said(larder, open_page):
    """The page has the sentence from the loaded bundle."""
    scope = larder.health().scope
    assert "groceries" in scope
    assert any(plain(scope) in each.value for each in open_page("classify").caption)
