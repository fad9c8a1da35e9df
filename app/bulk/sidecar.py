"""Write labels as keywords into XMP sidecars, which photo programs read: `photo.jpg.xmp` beside `photo.jpg`.

A label is written to dc:subject, and below the keyword Larder to the hierarchies of Lightroom and digiKam, by which the
next run recognises its own keywords. Everything else in a sidecar is kept. Pictures are never written.
"""

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from app.atomic import atomic_write
from app.bulk import Embedded
from app.bulk.shard_writer import Answers
from app.errors import InvalidRequest

OWN = "Larder"  # the root of all keywords written here
SPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
}
PROPERTIES: tuple[tuple[str, str, Callable[[str], str]], ...] = (  # with their RDF containers and separators
    ("dc:subject", "rdf:Bag", str),
    ("lr:hierarchicalSubject", "rdf:Bag", lambda label: f"{OWN}|{label}"),
    ("digiKam:TagsList", "rdf:Seq", lambda label: f"{OWN}/{label.replace('/', '-')}"),
)
_BEGIN = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END = b'\n<?xpacket end="w"?>\n'


@dataclass(frozen=True)
class Sidecars:
    """A sink that writes the labels above a probability to sidecars, and everything to `answers`."""

    answers: Answers
    root: Path
    threshold: float

    def done(self, ids: Collection[str]) -> set[str]:
        """Return those of the ids that have a row, and so a sidecar."""
        return self.answers.done(ids)

    def put(self, pictures: Sequence[Embedded]) -> Mapping[str, str]:
        """Write sidecars, then the rows of those that succeeded; return the reasons of the others, by id."""
        reasons = {each.id: reason for each in pictures if (reason := self._write(each))}
        written = [each for each in pictures if each.id not in reasons]
        return reasons | dict(self.answers.put(written) if written else {})

    def close(self) -> None:
        """Release the folder's lock."""
        self.answers.close()

    def _write(self, picture: Embedded) -> str:
        """Write one sidecar; return why that failed, or an empty text."""
        file = (self.root.parent if self.root.is_file() else self.root) / picture.id
        if not file.is_file() or picture.vector is None:
            return "a sidecar needs a picture file: rows of parquet have none"
        labels = self.answers.labels_of(picture.vector, self.threshold)
        path = file.with_name(file.name + ".xmp")
        try:
            before = path.read_bytes() if path.exists() else None
            if labels or before:
                with atomic_write(path) as part:
                    part.write_bytes(with_keywords(before, labels))
        except (InvalidRequest, OSError) as error:
            return f"{path.name}: {getattr(error, 'strerror', None) or error}"
        return ""


def with_keywords(before: bytes | None, labels: Sequence[str]) -> bytes:
    """Return a sidecar with these labels instead of those written before; everything else is kept.

    Raises InvalidRequest for a file that is not XMP.
    """
    for prefix, space in SPACES.items():
        ET.register_namespace(prefix, space)
    tree = _parse(before) if before else _empty()
    own = {
        each.removeprefix(f"{OWN}|") for each in _items(tree, "lr:hierarchicalSubject") if each.startswith(f"{OWN}|")
    }
    others = set(_items(tree, "dc:subject")) - own
    new = [label for label in labels if label not in others]  # a keyword that somebody else set stays theirs
    for name, kind, form in PROPERTIES:
        _replace(tree, name, kind, {form(label) for label in own}, [form(label) for label in new])
    written: bytes = ET.tostring(tree, encoding="utf-8")
    return _BEGIN + written + _END


def _parse(data: bytes) -> ET.Element:
    """Parse a sidecar with its namespace prefixes and comments."""
    try:
        if b"<!DOCTYPE" in data:
            raise ValueError("it has a document type")
        builder = ET.TreeBuilder(insert_comments=True, insert_pis=True)
        tree = ET.fromstring(data, ET.XMLParser(target=builder))  # noqa: S314 - no document type
        for _, (prefix, space) in ET.iterparse(io.BytesIO(data), ["start-ns"]):  # noqa: S314 - no document type
            if prefix and not prefix.startswith("ns"):
                ET.register_namespace(prefix, space)
    except (ET.ParseError, ValueError) as error:
        raise InvalidRequest(f"the sidecar is not XMP, and was left unchanged: {error}") from error
    if tree.find(f".//{_tag('rdf:RDF')}") is None and tree.tag != _tag("rdf:RDF"):
        raise InvalidRequest("the sidecar is not XMP, and was left unchanged: it has no rdf:RDF")
    return tree


def _empty() -> ET.Element:
    tree = ET.Element(_tag("x:xmpmeta"))
    ET.SubElement(ET.SubElement(tree, _tag("rdf:RDF")), _tag("rdf:Description"), {_tag("rdf:about"): ""})
    return tree


def _items(tree: ET.Element, name: str) -> list[str]:
    return [each.text or "" for place in tree.iter(_tag(name)) for each in place.iter(_tag("rdf:li"))]


def _replace(tree: ET.Element, name: str, kind: str, old: set[str], new: Sequence[str]) -> None:
    """Remove items from the list of a property and append others; an empty list is removed."""
    found = tree.find(f".//{_tag(name)}/*")
    if found is None:
        if not new:
            return
        found = ET.SubElement(ET.SubElement(_description(tree), _tag(name)), _tag(kind))
    for item in found.findall(_tag("rdf:li")):
        if item.text in old:
            found.remove(item)
    for text in new:
        ET.SubElement(found, _tag("rdf:li")).text = text
    if not len(found):
        for parent in tree.iter(_tag("rdf:Description")):
            for place in parent.findall(_tag(name)):
                parent.remove(place)


def _description(tree: ET.Element) -> ET.Element:
    """Return the first description, created if missing."""
    found = tree.find(f".//{_tag('rdf:Description')}")
    if found is not None:
        return found
    rdf = tree if tree.tag == _tag("rdf:RDF") else tree.find(f".//{_tag('rdf:RDF')}")
    return ET.SubElement(rdf, _tag("rdf:Description"), {_tag("rdf:about"): ""})  # type: ignore[arg-type]  # _parse has seen it


def _tag(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{SPACES[prefix]}}}{local}"
