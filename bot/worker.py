"""What runs inside a worker process: it holds the models and answers batches of pictures.

Everything here is called by name through an `Executor`, so arguments and results are plain values that can be pickled. Posted
bytes are decoded here and never in the bot's own process: a picture that kills its reader takes a worker with it, not the bot.

Nothing heavy is imported before `initialize` has set the number of threads.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bokemodel.modes import ALWAYS
from bot import log as logs

if TYPE_CHECKING:
    from bokemodel.model import BokeModel

log = logging.getLogger(__name__)

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class ModelPlace:
    """Which model a worker shall hold; `folder` None is the starter. The bundle says which encoder it needs.

    weights, options: of the encoder called `encoder`, for a network whose weights do not come with the program.
    """

    folder: str | None = None
    encoder: str | None = None
    weights: str | None = None
    options: tuple[tuple[str, Any], ...] = ()
    backend: Literal["auto", "chainer", "onnxruntime"] = "auto"
    threads: int = 1


@dataclass(frozen=True)
class Job:
    """One picture to answer. `settings` are single fields of bokemodel's SearchSettings, `id` is the picture's in the log."""

    picture: bytes = field(repr=False)
    count: int = 1
    mode: str = "boke"
    seed: int | None = None
    max_pixels: int = 64_000_000
    settings: dict[str, Any] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True)
class Answered:
    """The jokes about one picture, best first, as (text, score).

    `sources` says where those of them stand that were quoted, if that is known.
    """

    candidates: tuple[tuple[str, float], ...]
    picture_key: str  # equal for the same picture, also after it was encoded again
    encoder: str
    encoder_digest: str
    model: str
    features: bytes  # float32, the encoder's vector
    width: int
    height: int
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A picture that could not be answered; `error` is the class name of bokemodel's error."""

    error: str
    message: str


@dataclass(frozen=True)
class ModelFacts:
    """What a model is, for people: digests in hex, `created` in ISO 8601 or empty.

    texts, pictures: how many different texts it learned from, and of how many pictures of a corpus.
    """

    model: str
    encoder: str
    recipe: str
    created: str
    vocabulary: int
    modes: tuple[str, ...] = ALWAYS
    language: str = ""
    texts: int = 0
    pictures: int = 0


_models: dict[str, BokeModel] = {}


def initialize(threads: int, backend: str = "auto", log_level: str = "warning", log_format: str = "text") -> None:
    """Called once in a new process. `threads` are ONNX Runtime's, for the vision network and the decoder's products.

    NumPy's own stay at one, unless Chainer computes the network with them: for the decoder's small matrices OpenBLAS's threads
    mostly wait for each other, and they wait by computing (2 threads on 2 busy cores: 10 times the processor time).
    """
    blas = threads if backend == "chainer" or find_spec("onnxruntime") is None else 1
    # Ctrl-C and a service manager's SIGTERM reach the whole group: the bot decides when workers go, and kills them then.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    logs.configure(log_level, log_format)
    threading.Thread(target=_leave_with_parent, name="parent", daemon=True).start()
    for name in THREAD_VARIABLES:
        os.environ[name] = str(blas)


def _leave_with_parent() -> None:
    """A bot that is killed tells nobody: nothing else would end its workers, which hold a model's memory each."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def pid() -> int:
    """The worker's process id."""
    return os.getpid()


def load(place: ModelPlace) -> str:
    """Load a model beside those that are there; returns its digest. Raises bokemodel's BundleError, EncoderError."""
    from bokemodel.bundle import load_bundle
    from bokemodel.encoders import load_encoder
    from bokemodel.model import STARTER, BokeModel

    bundle = load_bundle(place.folder or STARTER)
    if bundle.digest in _models:
        return bundle.digest
    wanted = bundle.manifest.encoder
    same = next((m.encoder for m in _models.values() if m.encoder.name == wanted), None)
    weights, options = (place.weights, dict(place.options)) if place.encoder == wanted else (None, {})
    encoder = same or load_encoder(wanted, weights, backend=place.backend, threads=place.threads, **options)
    model = BokeModel(bundle, encoder)
    model.boke_of_features(_any_vector(model), 1, seed=0)  # the first call pays for what the later ones reuse
    _models[bundle.digest] = model
    return bundle.digest


def loaded(digest: str) -> BokeModel:
    """A model that was loaded. Raises KeyError."""
    return _models[digest]


def facts(digest: str) -> ModelFacts:
    """What a model that was loaded is. Raises KeyError."""
    model = _models[digest]
    manifest, vocabulary = model.bundle.manifest, len(model.tokenizer)
    return ModelFacts(
        digest,
        manifest.encoder,
        manifest.recipe,
        manifest.created,
        vocabulary,
        model.modes,
        manifest.language,
        len(model.learned),
        len(manifest.training_pictures),
    )


def keep(digest: str) -> None:
    """Forget every model but one."""
    for other in [d for d in _models if d != digest]:
        forget(other)


def forget(digest: str) -> None:
    """Forget a model, if it is there."""
    _models.pop(digest, None)


def answer(jobs: list[Job], digest: str) -> list[Answered | Refused]:
    """Answer a batch with one pass through the network and one through the decoder for each mode and setting."""
    from bokemodel.errors import PictureError, UnknownMode
    from bokemodel.pictures import open_picture

    model, began = _models[digest], time.perf_counter()
    results: list[Answered | Refused | None] = [None] * len(jobs)
    images, keys, sizes, opened = [], [], [], []
    for index, job in enumerate(jobs):
        try:
            model.check_mode(job.mode)
            image = open_picture(job.picture, max_pixels=job.max_pixels, short_side=model.encoder.input_size)
        except (PictureError, UnknownMode) as error:
            results[index] = Refused(type(error).__name__, str(error))
            log.debug("refused as %s", type(error).__name__, extra={"picture": job.id})
            continue
        images.append(image)
        keys.append(picture_key(image))
        sizes.append(image.size)
        opened.append(index)
    if images:
        features = model.encoder.encode(images)
        groups: dict[tuple[Any, ...], list[int]] = {}
        for row, index in enumerate(opened):
            job = jobs[index]
            groups.setdefault((job.mode, job.count, job.seed is None, tuple(sorted(job.settings.items()))), []).append(
                row
            )
        for (mode, count, unseeded, settings), rows in groups.items():
            seeds = None if unseeded else [int(jobs[opened[row]].seed or 0) for row in rows]
            found = model.boke_of_features(features[rows], count, mode, seeds, **dict(settings))
            for row, jokes in zip(rows, found, strict=True):
                results[opened[row]] = Answered(
                    tuple((joke.text, float(joke.score)) for joke in jokes),
                    keys[row],
                    model.encoder.name,
                    model.encoder.weights_digest,
                    digest,
                    features[row].tobytes(),
                    *sizes[row],
                    {joke.text: joke.source for joke in jokes if joke.source},
                )
        spent = (time.perf_counter() - began) * 1000
        for index in opened:
            log.debug("answered among %d in %.0f ms", len(opened), spent, extra={"picture": jobs[index].id})
    return [result for result in results if result is not None]


@dataclass(frozen=True)
class CardJob:
    """The picture with its joke, to be drawn. `font` None is the one that comes along."""

    picture: bytes = field(repr=False)
    text: str
    spoiler: bool = False
    width: int = 1080
    font: str | None = None
    max_pixels: int = 64_000_000


@dataclass(frozen=True)
class ThumbnailJob:
    """The picture, to be made small; `side` pixels at most."""

    picture: bytes = field(repr=False)
    side: int = 960
    max_pixels: int = 64_000_000


def draw(job: CardJob | ThumbnailJob) -> bytes | Refused:
    """A card as PNG or a small picture as JPEG; posted bytes are decoded in a worker only, here too."""
    return draw_card(job) if isinstance(job, CardJob) else draw_thumbnail(job)


def draw_thumbnail(job: ThumbnailJob) -> bytes | Refused:
    """JPEG without what cameras write into their files, such as the place."""
    from bokemodel.errors import PictureError
    from bokemodel.pictures import open_picture

    try:
        picture = open_picture(job.picture, max_pixels=job.max_pixels, short_side=job.side)
        picture.thumbnail((job.side, job.side))
        picture.info.clear()
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=82, optimize=True)
        return file.getvalue()
    except (PictureError, OSError) as error:
        return Refused(type(error).__name__, str(error))


def draw_card(job: CardJob) -> bytes | Refused:
    """The card as PNG."""
    from bokemodel.errors import PictureError
    from bokemodel.pictures import open_picture
    from bot.card import CardError, make_card
    from bot.lettering import find_fonts

    try:
        picture = open_picture(job.picture, max_pixels=job.max_pixels, short_side=job.width)
        fonts = replace(find_fonts(), japanese=Path(job.font)) if job.font else None
        return make_card(picture, job.text, spoiler=job.spoiler, width=job.width, fonts=fonts)
    except (PictureError, CardError, OSError) as error:
        return Refused(type(error).__name__, str(error))


def picture_key(image: Any) -> str:
    """A difference hash of 64 bits: survives scaling and another compression of the same picture."""
    import numpy as np
    from PIL import Image

    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return "".join(f"{byte:02x}" for byte in np.packbits(bits))


def _any_vector(model: BokeModel) -> Any:
    import numpy as np

    return np.ones((1, model.bundle.manifest.feature_dim), np.float32)
