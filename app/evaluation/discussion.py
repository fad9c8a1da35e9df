"""What the numbers say, in sentences: each is there only where its numbers make it true.

A difference is called clear when it is more than twice its standard error, picture by picture.
"""

from collections.abc import Iterator, Sequence

from app.evaluation.compare import Comparison, Pair
from app.evaluation.confidence import Confidence
from app.evaluation.figures import Figures
from app.evaluation.wording import CNN, NEAREST, ONE, PROBE, SERVED, listed, opening, percent, points, the

CLEAR = 2.0  # standard errors
HONEST = 0.02  # of surplus: below that the probabilities are neither too sure nor too modest
NAMED = 3  # classes in a list


def discuss(found: Comparison) -> list[str]:
    """One paragraph each on ranking, prompts, names against pictures, the CNN, few pictures, classes, confidence."""
    parts = (
        ranking(found),
        prompts(found),
        names_or_pictures(found),
        against_cnn(found),
        few(found),
        classes(found),
        calibration(found),
        known(found.confidence),
    )
    return [" ".join(sentences) for part in parts if (sentences := list(part))]


def ranking(found: Comparison) -> Iterator[str]:
    """Who is best, and whether the second is clearly behind."""
    first, second, *_ = sorted(found.contestants, key=lambda each: -each.top_1)
    lead = pair(found, first.name, second.name)
    yield f"**{opening(first.name)} is right most often**, on {percent(first.top_1)} of {found.test:,} test pictures."
    yield f"{opening(second.name)} follows with {percent(second.top_1)}: {_gap(lead)}."


def prompts(found: Comparison) -> Iterator[str]:
    """One prompt against all names in all templates."""
    yield f"**Prompts.** {_versus(found, SERVED, ONE)}"


def names_or_pictures(found: Comparison) -> Iterator[str]:
    """The text tower against heads that learn from the training pictures, on the same vectors."""
    yield "**Names or pictures.** The first four contestants look through the same eyes: one picture tower."
    yield _versus(found, PROBE, SERVED)
    yield _versus(found, NEAREST, SERVED)
    between = pair(found, PROBE, SERVED)
    if _clear(between):
        more = between.difference > 0
        yield "The vectors hold more than the names draw from them." if more else "The names are the better teacher."


def against_cnn(found: Comparison) -> Iterator[str]:
    """CLIP as it is served against the CNN: accuracy, time, size."""
    if CNN not in names(found):
        return
    clip, cnn = contestant(found, SERVED), contestant(found, CNN)
    yield f"**CLIP and the CNN.** {_versus(found, SERVED, CNN)}"
    yield (
        f"A picture takes {clip.milliseconds:.1f} ms with CLIP and {cnn.milliseconds:.1f} ms with the CNN; they have "
        f"{clip.megabytes:.1f} and {cnn.megabytes:.1f} MB."
    )
    yield "The CNN must be trained again for a new class; CLIP takes its name, or a few pictures."


def few(found: Comparison) -> Iterator[str]:
    """From how many pictures a class on prototypes do better than names."""
    served = contestant(found, SERVED)
    worse = [place for place, row in enumerate(found.shots) if row.mean <= served.top_1]
    better = found.shots[worse[-1] + 1 :] if worse else found.shots
    first, last = found.shots[0], found.shots[-1]
    yield (
        f"**Few pictures.** Without any text, {first.shots} training picture a class gives "
        f"{percent(first.mean)} on average over draws, {last.shots} pictures give {percent(last.mean)}."
    )
    if better:
        yield f"From {better[0].shots} on they do better than the names ({percent(served.top_1)})."
    else:
        yield f"With {last.shots} they do no better than the names ({percent(served.top_1)})."


def classes(found: Comparison) -> Iterator[str]:
    """Where the served contestant is strong, where it is weak, and where the CNN differs most."""
    served = contestant(found, SERVED)
    shown = [(share, name) for share, name in zip(served.per_class, found.classes, strict=True) if share is not None]
    perfect = [name for share, name in shown if share == 1]
    worst = sorted(shown)[:NAMED]
    never = [name for share, name in shown if share == 0]
    yield f"**Classes.** Of {len(shown)} classes {len(perfect)} are always recognised by name, {len(never)} never."
    if worst[0][0] < 1:
        yield f"The weakest are {listed(f'{name} ({percent(share)})' for share, name in worst if share < 1)}."
    if served.confused:
        most = served.confused[0]
        yield f"Most often {most.shown} is taken for {most.answered}: {most.count} of {most.of} pictures."
    if CNN in names(found):
        yield from _lead_by_class(found, served, contestant(found, CNN))


def _lead_by_class(found: Comparison, clip: Figures, cnn: Figures) -> Iterator[str]:
    leads = [
        (ours - theirs, name)
        for ours, theirs, name in zip(clip.per_class, cnn.per_class, found.classes, strict=True)
        if ours is not None and theirs is not None
    ]
    ahead, behind = sum(lead > 0 for lead, _ in leads), sum(lead < 0 for lead, _ in leads)
    same = len(leads) - ahead - behind
    yield f"CLIP does better than the CNN on {ahead} classes, worse on {behind}, the same on {same}."
    if ahead:
        yield f"Its greatest lead is on {max(leads)[1]} ({points(max(leads)[0])})."
    if behind:
        yield f"It is furthest behind on {min(leads)[1]} ({points(-min(leads)[0])})."


def calibration(found: Comparison) -> Iterator[str]:
    """Who is too sure, and whose probabilities hold best after a temperature was fitted."""
    yield "**Probabilities.**"
    for kind, chosen in (
        ("too sure", [each for each in found.contestants if each.surplus > HONEST]),
        ("too modest", [each for each in found.contestants if each.surplus < -HONEST]),
    ):
        if chosen:
            yield f"As they are, {kind} by {listed(f'{points(abs(c.surplus))} ({c.name})' for c in chosen)}."
    best = min(found.contestants, key=lambda each: each.calibrated_error)
    yield (
        f"With a temperature fitted on the {found.val:,} validation pictures the least calibration error is "
        f"{best.calibrated_error:.3f} ({best.name})."
    )
    worse = [each.name for each in found.contestants if each.calibrated_error > each.calibration_error]
    if worse:
        yield f"For {listed(worse)} that temperature made it worse on the test pictures."


def known(confidence: Confidence) -> Iterator[str]:
    """Whether pictures of other things are told apart."""
    if not confidence.known:
        return
    hardest = min(confidence.known, key=lambda each: each.auroc)
    yield (
        f"**Other things.** `known` tells the test pictures from {hardest.others} with an area under the ROC curve of "
        f"{hardest.auroc:.4f}" + (", the hardest of the kinds tried." if len(confidence.known) > 1 else ".")
    )
    if confidence.rightly_known is not None and hardest.wrongly_known is not None:
        yield (
            f"At the bundle's margin {percent(confidence.rightly_known)} of the test pictures are known, and "
            f"{percent(hardest.wrongly_known)} of those others."
        )


def _versus(found: Comparison, first: str, second: str) -> str:
    """A sentence on two contestants, whichever is ahead."""
    between = pair(found, first, second)
    ahead, behind = (first, second) if between.difference >= 0 else (second, first)
    if between.difference == 0:
        share = percent(contestant(found, first).top_1)
        return f"{opening(first)} and {the(second)} are right equally often ({share})."
    shares = f"{percent(contestant(found, ahead).top_1)} against {percent(contestant(found, behind).top_1)}"
    return f"{opening(ahead)} does better than {the(behind)}, {shares}: {_gap(between)}."


def _gap(between: Pair) -> str:
    verdict = "a clear difference" if _clear(between) else "too little to tell them apart on so many pictures"
    return f"{points(abs(between.difference))}, {verdict}"


def _clear(between: Pair) -> bool:
    return abs(between.difference) > CLEAR * between.error


def pair(found: Comparison, first: str, second: str) -> Pair:
    """Two contestants, in the order asked for."""
    for each in found.pairs:
        if (each.first, each.second) == (first, second):
            return each
        if (each.first, each.second) == (second, first):
            return Pair(first, second, -each.difference, each.error)
    raise KeyError((first, second))


def contestant(found: Comparison, name: str) -> Figures:
    """The figures of one contestant."""
    return next(each for each in found.contestants if each.name == name)


def names(found: Comparison) -> Sequence[str]:
    """The contestants' names."""
    return [each.name for each in found.contestants]
