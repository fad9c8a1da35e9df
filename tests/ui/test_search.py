"""The page Search."""

from larder_client import Query

from tests.ui.conftest import button, named, said, sample


def add(page, collection: str, files=(), text: str = ""):
    """Return the page after pictures (name, bytes) and a text were added."""
    named(page.file_uploader, "Pictures").set_value([(name, data, "image/jpeg") for name, data in files])
    named(page.text_area, "Or a text").set_value(text)
    named(page.text_input, "Into the collection").set_value(collection)
    return button(page, "Add")


def find(page, text: str, collection: str):
    named(page.text_input, "In the collection").set_value(collection)
    named(page.text_input, "Text").set_value(text).run()
    return page


def test_several_are_added_and_the_bad_ones_are_named(larder, open_page):
    """Good pictures and the text are kept, a broken one is listed with its reason."""
    files = [(f"{name}.jpg", sample(name)) for name in ("banana", "lime")] + [("bad.jpg", b"nothing")]
    page = add(open_page("search"), "several", files, "a jar of honey")
    assert "Added 3 to several" in said(page)
    assert "bad.jpg: This picture cannot be read: the bytes are not a picture" in said(page)
    assert page.progress[0].value == 100
    assert larder.count_contents("several") == 3


def test_a_text_finds_a_gallery(larder, open_page):
    """Hits come as pictures and texts with cosines and metadata, best first."""
    page = add(open_page("search"), "gallery", [(f"{name}.jpg", sample(name)) for name in ("banana", "lime")], "a lime")
    page = find(page, "banana", "gallery")
    cosines = [each.value for each in page.markdown if each.value.startswith("Cosine")]
    assert cosines == [f"Cosine **{hit.score:.3f}**" for hit in larder.search("banana", collection="gallery")]
    assert len(cosines) == 3
    assert len(page.image) == 2
    assert any("“a lime”" in each.value for each in page.markdown)
    assert any("file\\: banana.jpg" in each.value for each in page.caption)


def test_more_like_this_leads_on(larder, open_page):
    """A hit's button finds what is like it, without itself, and there is a way back."""
    page = add(open_page("search"), "like", [(f"{name}.jpg", sample(name)) for name in ("lemon", "lime", "carrots")])
    page = button(find(page, "lemon", "like"), "More like this")
    assert "More like" in said(page)
    assert len(page.image) == 2
    assert not any("lemon.jpg" in each.value for each in page.caption)
    page = button(page, "Back to my question")
    assert "More like" not in said(page)


def test_a_picture_finds_too(larder, open_page):
    """The same picture is nearest to itself."""
    page = add(open_page("search"), "by-picture", [(f"{name}.jpg", sample(name)) for name in ("lemon", "lime")])
    named(page.segmented_control, "Look for what is like").set_value("A picture").run()
    named(page.text_input, "In the collection").set_value("by-picture")
    named(page.file_uploader, "A picture file").set_value(("mine.jpg", sample("lime"), "image/jpeg")).run()
    assert "lime.jpg" in next(each.value for each in page.caption if ".jpg" in each.value)


def test_a_question_is_weighted_and_bounded(larder, open_page):
    """A second text adds, a third subtracts, and min_score limits: an empty list says what to do."""
    page = add(open_page("search"), "weighted", [(f"{name}.jpg", sample(name)) for name in ("lemon", "lime")])
    named(page.text_input, "And more like").set_value("a lime")
    named(page.text_input, "But less like").set_value("a lemon")
    page = find(page, "a fruit", "weighted")
    queries = [Query("a fruit"), Query("a lime"), Query("a lemon", weight=-1)]
    hits = larder.search(queries=queries, collection="weighted")
    cosines = [each.value for each in page.markdown if each.value.startswith("Cosine")]
    assert cosines == [f"Cosine **{hit.score:.3f}**" for hit in hits]
    named(page.slider, "Cosine at least").set_value(0.0).run()
    cosines = [each.value for each in page.markdown if each.value.startswith("Cosine")]
    assert cosines == [f"Cosine **{hit.score:.3f}**" for hit in hits if hit.score >= 0]
    named(page.slider, "Cosine at least").set_value(1.0).run()
    assert "Ask for a smaller cosine" in said(page)


def test_nothing_found_and_nothing_to_add_are_said(larder, open_page):
    """Empty states say what to do."""
    page = open_page("search")
    assert "Choose pictures or write a text" in said(button(page, "Add"))
    add(page, "something", text="a jar of honey")
    assert "Nothing was found there" in said(find(page, "honey", "no such collection"))


def test_a_card_names_the_file_within_the_folder(larder, open_page):
    """Entries of `bulk index` show no absolute path of the service's machine; the id identifies the picture."""
    metadata = {"path": "june/lime.jpg", "source": "/srv/pictures/holidays"}
    larder.put_picture("trip/june/lime.jpg", sample("lime"), metadata=metadata, collection="trip")
    page = find(open_page("search"), "a lime", "trip")
    assert [each.value for each in page.caption][-1] == "source\\: holidays · trip/june/lime.jpg"
