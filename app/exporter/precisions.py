"""Compare every engine and precision that runs a bundle here with float32, and show the choice of `auto`."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import EngineError
from app.exporter import gate
from app.exporter.gate import Say
from app.model.bundle import Bundle
from app.model.engines import Engine
from app.model.engines.choice import open_engine
from app.model.engines.compare import BATCH, cosines, encode_all, milliseconds
from app.model.engines.int8 import kept_int8, open_int8
from app.model.probes import probe_pictures
from app.settings import available_processors


@dataclass(frozen=True)
class Precision:
    """The result of one engine compared with float32, on 64 drawn pictures."""

    engine: str
    least_cosine: float
    mean_cosine: float
    one_ms: float
    """Milliseconds of a single picture."""
    batch_ms: float
    """Milliseconds per picture in a batch of 8."""
    auto: bool
    """Whether `LARDER_ENGINE=auto` chooses it here."""


def open_engines(bundle: Bundle, folder: Path, say: Say) -> list[Engine]:
    """Open each engine that runs the bundle in each precision, float32 first; `folder` keeps what is made."""
    engines: dict[str, Engine] = {}
    for factory in gate.installed_engines():
        say(f"opening engine {len(engines) + 1}")
        engine = factory(bundle)
        engines.setdefault(engine.name, engine)  # an engine's fastest precision may be its exact one
    if importlib.util.find_spec("onnx"):
        say("making an int8 graph")
        try:
            graph, _ = kept_int8(bundle, available_processors(), folder / "int8")
            engine = open_int8(bundle, available_processors(), graph)
            engines[engine.name] = engine
        except EngineError as error:
            say(str(error))
    return list(engines.values())


def compare_precisions(bundle: Bundle, engines: Sequence[Engine], folder: Path, say: Say) -> list[Precision]:
    """Measure the engines, the first of which is float32, in turns."""
    pixels = probe_pictures(bundle.config.image_form)
    exact = encode_all(engines[0].encode_pixels, pixels)
    by_name = {engine.name: engine for engine in engines}
    one, batch = (milliseconds(by_name, pixels[:count]) for count in (1, BATCH))
    try:
        taken = open_engine("auto", bundle, available_processors(), folder).name
    except EngineError as error:  # it would not start
        say(str(error))
        taken = ""
    rows = []
    for name, engine in by_name.items():
        found = cosines(encode_all(engine.encode_pixels, pixels), exact)
        row = Precision(name, float(found.min()), float(found.mean()), one[name], batch[name] / BATCH, name == taken)
        rows.append(row)
    return rows
