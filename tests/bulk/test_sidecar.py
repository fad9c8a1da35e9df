"""Labels become keywords in XMP sidecars, and other content of a sidecar stays."""

import json
import shutil
import subprocess
from xml.etree import ElementTree as ET

import pytest

from app.__main__ import main
from app.bulk.sidecar import with_keywords
from app.errors import InvalidRequest
from tests.bulk.conftest import GOOD, write_parquet
from tests.bulk.test_command import answers, reasons
from tests.fakes import as_bytes, picture

FOREIGN = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="darktable">
 <!-- by hand -->
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:darktable="http://darktable.sf.net/"
    xmp:Rating="4" darktable:history_end="2">
   <darktable:history><rdf:Seq><rdf:li darktable:operation="exposure"/></rdf:Seq></darktable:history>
  </rdf:Description>
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:subject><rdf:Bag><rdf:li>kitchen</rdf:li><rdf:li>red</rdf:li></rdf:Bag></dc:subject>
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">At home</rdf:li></rdf:Alt></dc:title>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def keywords(path) -> dict:
    """Read the keywords with exiftool."""
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not there")
    done = subprocess.run(["exiftool", "-json", "-struct", "-XMP:all", str(path)], capture_output=True, check=True)
    return json.loads(done.stdout)[0]


def bag(data: bytes, name: str = "subject") -> list[str]:
    root = ET.fromstring(data)
    return [item.text for place in root.iter() if str(place.tag).endswith(f"}}{name}") for item in place[0]]


def test_labels_are_keywords_that_photo_programs_read(home, photos):
    """Each good picture gets a sidecar, unreadable ones get none, and no picture is modified."""
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    command = ["bulk", "classify", "photos", "--out", "out", "--sidecar", "xmp", "--threshold", "0.1"]
    assert main(command) == 1
    assert all(path.read_bytes() == data for path, data in before.items())
    assert {str(path.relative_to(photos)) for path in photos.rglob("*.xmp")} == {f"{name}.xmp" for name in GOOD}
    read = keywords(photos / "blue.png.xmp")
    assert "blue" in read["Subject"]
    assert "Larder|blue" in read["HierarchicalSubject"]
    assert "Larder/blue" in read["TagsList"]
    assert main(command) == 1  # again: sidecars are no bad pictures
    assert not any(name.endswith(".xmp") for name in reasons())
    assert sorted(answers()) == sorted(GOOD.items())


def test_labels_below_the_threshold_are_not_written(home, photos):
    """Without a probable label there is no sidecar."""
    assert main(["bulk", "classify", "photos", "--out", "out", "--sidecar", "xmp", "--threshold", "1.01"]) == 1
    assert list(photos.rglob("*.xmp")) == []


def test_a_foreign_sidecar_keeps_its_content():
    """Foreign ratings, history, titles, comments and keywords stay; ours are added and removed."""
    first = with_keywords(FOREIGN, ["apple", "red"])
    for part in (
        b'Rating="4"',
        b'operation="exposure"',
        b"At home",
        b"by hand",
        b'xmptk="darktable"',
        b"darktable:history",
    ):
        assert part in first
    assert bag(first) == ["kitchen", "red", "apple"]
    assert bag(first, "hierarchicalSubject") == ["Larder|apple"]
    second = with_keywords(first, ["pear"])
    assert bag(second) == ["kitchen", "red", "pear"]
    assert bag(second, "TagsList") == ["Larder/pear"]
    assert bag(with_keywords(second, [])) == ["kitchen", "red"]
    assert b"TagsList" not in with_keywords(second, [])


def test_any_label_comes_back():
    """Special characters of XML and of hierarchies are read back unchanged."""
    labels = ["a & b <c>", "half / half", "Müsli 🥣", "'\""]
    data = with_keywords(None, labels)
    assert bag(data) == labels
    assert bag(with_keywords(data, labels)) == labels
    assert bag(with_keywords(data, labels), "TagsList")[1] == "Larder/half - half"
    assert b"subject" not in with_keywords(data, [])


@pytest.mark.parametrize("data", [b"no XML", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"\xff\xfe", b"<a>"])
def test_what_is_no_xmp_is_left_alone(home, data):
    """It is named in the report, it is not overwritten, and the picture is tried again by the next run."""
    with pytest.raises(InvalidRequest, match="left unchanged"):
        with_keywords(data, ["red"])
    (home / "photos").mkdir()
    (home / "photos/red.png").write_bytes(as_bytes(picture("red")))
    (home / "photos/red.png.xmp").write_bytes(data)
    command = ["bulk", "classify", "photos", "--out", "out", "--sidecar", "xmp", "--threshold", "0.1"]
    assert main(command) == 1
    assert "left unchanged" in reasons()["red.png"]
    assert (home / "photos/red.png.xmp").read_bytes() == data
    (home / "photos/red.png.xmp").unlink()
    assert main(command) == 0
    assert (home / "photos/red.png.xmp").exists()


def test_sources_without_files_are_refused(home, tmp_path, capsys):
    """A prefix in S3 at once, rows of parquet each with the reason."""
    assert main(["bulk", "classify", "s3://bucket/photos", "--out", "out", "--sidecar", "xmp"]) == 2
    assert "has to be a folder or a file" in capsys.readouterr().err
    write_parquet(tmp_path / "rows.parquet", [as_bytes(picture("red"))])
    assert main(["bulk", "classify", "rows.parquet", "--out", "out", "--sidecar", "xmp"]) == 1
    assert "needs a picture file" in reasons()["rows.parquet:0"]
