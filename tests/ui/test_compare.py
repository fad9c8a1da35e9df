"""The page Compare."""

import json

from app.ui.screens import compare
from harness.server import ROOT
from tests.ui.conftest import named, said

REPORTS = ROOT / "docs/evaluation"


def test_a_report_is_shown_with_its_figures_words_and_plots(open_page):
    """The service is not called; the numbers are those of the JSON file, the words those of the page."""
    page = open_page("compare")
    control = named(page.segmented_control, "Report")
    assert control.options == ["CIFAR-10", "Groceries"]
    control.set_value("CIFAR-10").run()
    for each in json.loads((REPORTS / "cifar10.json").read_text())["contestants"]:
        assert f">{each['name']}<" in page.html[0].value
        assert f"{each['top_1']:.1%}".replace("%", " %") in page.html[0].value
    notes = (REPORTS / "cifar10-notes.md").read_text().strip()
    assert any(each.value == notes for each in page.markdown)
    assert len(page.image) == 4
    assert [each.label for each in page.expander][-1] == "Top-1 by class"


def test_without_reports_the_page_says_what_writes_them(open_page, monkeypatch, tmp_path):
    """The page shows the command."""
    monkeypatch.setattr(compare, "EVALUATION", tmp_path)
    assert "`make evaluate` writes them" in said(open_page("compare"))
