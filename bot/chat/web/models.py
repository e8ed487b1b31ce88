"""Models on the API: which there are, and two of them beside each other on one picture."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from bokemodel import registry
from bokemodel.registry import ManifestFacts, current_folder, manifest_facts, published
from bot.app import model_place
from bot.boke import BokeRefused, refused_as, search_settings
from bot.chat.web.admin import require_admin
from bot.chat.web.keys import parts
from bot.chat.web.refusals import reply
from bot.chat.web.upload import read_picture
from bot.inference import ModelRejected, QueueFull, WorkerLost
from bot.lab_worker import Opinion
from bot.publishing import STARTER
from bot.worker import Job, Refused
from store.config import Config
from store.runs import runs_of_bundles

PINNED = "model.path"  # the name of the model that the configuration names
JOKES = 5
SEED = 1  # the same for both: what differs is the model's


@dataclass(frozen=True)
class _Model:
    name: str
    folder: Path | None  # None: the starter
    facts: ManifestFacts
    live: bool
    withdrawn: bool = False


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this module."""
    router.add_get("/api/models", get_models)
    router.add_post("/api/models/compare", post_compare)


async def get_models(request: web.Request) -> web.Response:
    """All models that can answer here, newest first, the starter last."""
    mine = parts(request)
    models = await asyncio.to_thread(_models, mine.config)
    runs = await mine.service.stored(runs_of_bundles, mine.database)
    return reply(
        {
            "answers": mine.inference.digest,
            "pinned": mine.config.model.path is not None,
            "models": [_shown(model, runs.get(model.facts.digest)) for model in models],
        }
    )


async def post_compare(request: web.Request) -> web.Response:
    """What two models say of a picture, and which training jokes and pictures are like it."""
    require_admin(request)
    mine = parts(request)
    picture, fields = await read_picture(request, mine.config.pictures.max_bytes)
    models = {model.name: model for model in await asyncio.to_thread(_models, mine.config)}
    chosen = [fields.get("a", ""), fields.get("b", "")]
    if not models.keys() >= set(chosen):
        raise BokeRefused("unknown_model")
    place = model_place(mine.config)
    places = [replace(place, folder=_text(models[name].folder), threads=1) for name in chosen]
    job = Job(picture, JOKES, "boke", SEED, mine.config.pictures.max_pixels, search_settings(mine.config))
    try:
        opinions = await mine.lab.look(places, job)
    except QueueFull as error:
        raise BokeRefused("busy", retry_after=10, cause=str(error)) from None
    except WorkerLost as error:
        raise BokeRefused("lost", cause=str(error)) from None
    except ModelRejected as error:
        raise BokeRefused("model_rejected", cause=str(error)) from None
    if isinstance(opinions, Refused):
        raise refused_as(opinions)
    return reply({"models": [_opinion(name, opinion) for name, opinion in zip(chosen, opinions, strict=True)]})


def _models(config: Config) -> list[_Model]:
    pinned = config.model.path
    live = current_folder(config.models.dir)
    found = [
        _Model(bundle.name, bundle.path, bundle.facts, bundle.live and pinned is None, bundle.withdrawn)
        for bundle in reversed(published(config.models.dir))
    ]
    for name, folder, answers in ((PINNED, pinned, True), (STARTER, None, pinned is None and live is None)):
        if name == PINNED and pinned is None:
            continue
        facts = manifest_facts(folder or registry.STARTER)
        if facts is not None:
            found.append(_Model(name, folder, facts, answers))
    return found


def _shown(model: _Model, run: int | None) -> dict[str, Any]:
    facts = model.facts
    return {
        "name": model.name,
        "live": model.live,
        "withdrawn": model.withdrawn,
        "digest": facts.digest,
        "created": facts.created or None,
        "recipe": facts.recipe,
        "encoder": facts.encoder,
        "language": facts.language,
        "vocabulary": facts.vocabulary,
        "embed": facts.embed,
        "hidden": facts.hidden,
        "training_pictures": facts.training_pictures,
        "bytes": facts.bytes,
        "quotes": facts.quotes,
        "parent": facts.parent or None,
        "metrics": facts.metrics,
        "run": run,
    }


def _opinion(name: str, opinion: Opinion) -> dict[str, Any]:
    shown = {"name": name, **asdict(opinion)}
    pictures = [*shown["near"], *(origin for said in shown["said"] for origin in said["origins"])]
    for picture in pictures:
        picture["url"] = f"/api/corpus/{picture['picture']}" if picture["picture"] else None
    return shown


def _text(folder: Path | None) -> str | None:
    return None if folder is None else str(folder)
