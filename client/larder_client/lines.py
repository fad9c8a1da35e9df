"""Format answers as lines for people."""

from larder_client.answers import Change, Event, ExamplesReport, Hit, Recognition, Unsure, read


def sentence(found: Recognition, *, asked: bool = False) -> str:
    """Format an answer for people; `asked` is whether a change of the pantry was requested.

    The percentage is the score, which the service compares with the threshold of `confident`.
    """
    sure = "" if found.confident else ", not sure"
    if sure and found.confident_category:
        sure += f", but sure of {found.confident_category}"
    doubt = ", perhaps none of the labels" if found.known is False else ""
    refused = f": {found.pantry_refused}" if found.pantry_refused else ""
    counted = f"; not counted{refused}" if asked else ""
    if found.pantry:
        counted = f"; {found.pantry.count} of it now"
    seen = f"{floored(found.top_k_scores[0])}{sure}{doubt}"
    how = "by its barcode" if found.evidence == "barcode" else seen
    disagreement = f"; {found.disagreement}" if found.disagreement and not asked else ""
    return f"{found.item}, {how}{counted}{disagreement}"


def match(hit: Hit) -> str:
    """Format a search hit for people, with the name or path of its file where the metadata has one.

    >>> match(Hit("default/6da7b6a9c57f", "image", 0.2251, {"file": "bottle.jpg"}))
    '0.225  default/6da7b6a9c57f  bottle.jpg'
    """
    file = hit.metadata.get("file") or hit.metadata.get("path")
    return f"{hit.score:.3f}  {hit.id}" + (f"  {file}" if file else "")


def changed(change: Change) -> str:
    """Format a change for people.

    >>> changed(Change("7", "2026-01-31T12:00:00.5Z", "robot", None, "add", "rice", 2, 5, None, None))
    '7  2026-01-31T12:00:00  add     rice: 2 -> 5  by robot'
    """
    before, after = ("-" if count is None else count for count in (change.before, change.after))
    by = f"  by {change.by}" if change.by else ""
    undo = f"  undoes {change.undoes}" if change.undoes else ""
    undone = f"  undone by {change.undone_by}" if change.undone_by else ""
    return f"{change.id}  {change.at[:19]}  {change.action:6}  {change.item}: {before} -> {after}{by}{undo}{undone}"


def happening(event: Event) -> str:
    """Format an event for people."""
    if event.type == "change":
        return changed(read(Change, event.data))
    if event.type == "recognition":
        by = f"  by {event.data['by']}" if event.data["by"] else ""
        return f"saw  {(event.timestamp or '')[:19]}  {event.data['count']} {event.data['item']}{by}"
    return "some events were missed"


def unsure(entry: Unsure) -> str:
    """Format an entry of the review queue for people."""
    guesses = ", ".join(map("{} {}".format, entry.top_k_items[:3], map(floored, entry.top_k_scores)))
    times = f", seen {entry.seen} times" if entry.seen > 1 else ""
    return f"{entry.id}  {guesses}{', not known' if entry.known is False else ''}{times}"


def judgement(found: ExamplesReport) -> str:
    """Format the report on the examples for people."""
    lines = [f"{found.right} of {found.judged} examples are recognised by the others"]
    if not found.judged:
        lines = ["nothing to judge yet: teach an item two examples or more, so that each can be judged by the others"]
    lines += [
        f"{'-' if each.right is None else each.right:>6} of {each.examples:3}  {each.item}"
        for each in found.items
        if each.right != each.examples
    ]
    lines += [f"{each.count:6} x {each.item} is taken for {each.taken_for}" for each in found.confusions]
    lines += [f"  {each.similarity:.2f}  {each.item} looks like {each.other}" for each in found.look_alike]
    lines += [f"{each.improves:+6}  without {each.id} of {each.item}: {each.looks_like}?" for each in found.misleading]
    return "\n".join(lines)


def floored(score: float) -> str:
    """Format a score as a percentage, rounded down: a score of at most 0.8 never reads as more.

    >>> floored(0.7999), floored(1.0)
    ('79%', '100%')
    """
    return f"{int(score * 100)}%"
