"""What runs in a worker process, called here without one."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from bokemodel import BokeModel
from bokemodel.errors import BundleError
from bokemodel.pictures import open_picture
from bot import worker
from bot.worker import Answered, CardJob, Job, ModelPlace, Refused, ThumbnailJob, picture_key
from tests.bot.conftest import PICTURES, photo
from tests.bundles import LINES, tiny_bundle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def digest(tiny_model: Path) -> str:
    """The model is loaded."""
    return worker.load(ModelPlace(str(tiny_model)))


def bits_apart(one: Image.Image, other: Image.Image) -> int:
    return (int(picture_key(one), 16) ^ int(picture_key(other), 16)).bit_count()


def saved(image: Image.Image, kind: str, **options: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return open_picture(file.getvalue())


def test_answers_are_those_of_the_model(tiny_model: Path, digest: str) -> None:
    (answered,) = worker.answer([Job(photo(), 3, seed=4)], digest)
    assert isinstance(answered, Answered)
    model = BokeModel.load(tiny_model)
    picture = open_picture(photo(), short_side=model.encoder.input_size)
    (expected,) = model.boke([picture], 3, seed=4)
    assert [text for text, _ in answered.candidates] == [boke.text for boke in expected]
    assert answered.features == model.encoder.encode([picture])[0].tobytes()
    assert (answered.model, answered.encoder_digest) == (digest, model.encoder.weights_digest)
    assert (answered.width, answered.height) == picture.size


def test_a_mixed_batch_is_answered_in_order(digest: str) -> None:
    jobs = [
        Job(photo(), seed=1), Job(b"hello"), Job(photo("coffee"), mode="article"), Job(photo(), 2, seed=2),
        Job(photo(), seed=1, settings={"temperature": 0.0001}), Job(photo()),
    ]  # fmt: skip
    results = worker.answer(jobs, digest)
    assert [type(result) for result in results] == [Answered, Refused, Answered, Answered, Answered, Answered]
    for job, result in zip(jobs, results, strict=True):
        if isinstance(result, Answered):
            assert len(result.candidates) == job.count
            assert {text for text, _ in result.candidates} <= set(LINES)
            if job.seed is not None:
                (alone,) = worker.answer([job], digest)
                assert isinstance(alone, Answered)
                assert result.candidates == alone.candidates
    assert worker.answer([], digest) == []


def test_what_crosses_to_the_bot_can_be_pickled(digest: str) -> None:
    for value in (*worker.answer([Job(photo()), Job(b"")], digest), worker.facts(digest), Job(photo()), ModelPlace()):
        assert pickle.loads(pickle.dumps(value)) == value


def test_models_beside_each_other(digest: str, tmp_path: Path) -> None:
    other = worker.load(ModelPlace(str(tiny_bundle(tmp_path, 1))))
    assert other != digest
    for one in (digest, other):
        (answered,) = worker.answer([Job(photo())], one)
        assert isinstance(answered, Answered)
        assert answered.model == worker.facts(one).model == one
    assert worker._models[digest].encoder is worker._models[other].encoder  # its weights are there once
    worker.keep(digest)
    with pytest.raises(KeyError):
        worker.facts(other)
    facts = worker.facts(digest)
    assert (facts.encoder, facts.recipe) == ("efficientnet-lite0", "test")
    assert facts.vocabulary > len(LINES) // 10


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        worker.load(ModelPlace(str(tmp_path)))


@pytest.mark.parametrize("name", sorted(file.stem for file in PICTURES.glob("*.jpg")))
def test_a_copy_of_a_picture_has_nearly_its_key(name: str) -> None:
    picture = open_picture(photo(name))
    half = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
    for copy in (picture, half):
        assert bits_apart(picture, saved(copy, "JPEG", quality=50)) <= 4
        assert bits_apart(picture, saved(copy, "PNG")) <= 4


def test_other_pictures_have_other_keys() -> None:
    pictures = [open_picture(photo(file.stem)) for file in sorted(PICTURES.glob("*.jpg"))]
    pictures += [ImageOps.mirror(pictures[0])]
    apart = [bits_apart(a, b) for i, a in enumerate(pictures) for b in pictures[:i]]
    assert min(apart) > 12
    assert len(picture_key(pictures[0])) == 16


def test_cards() -> None:
    job = CardJob(photo(), "定時です", width=240)
    card = worker.draw_card(job)
    assert isinstance(card, bytes)
    with Image.open(io.BytesIO(card)) as drawn:
        assert drawn.width == 240
    refused = worker.draw_card(replace(job, picture=b"hello"))
    assert isinstance(refused, Refused)
    assert refused.error == "NotAPicture"
    no_font = worker.draw_card(replace(job, font="/nowhere/font.otf"))
    assert isinstance(no_font, Refused)
    assert "font.otf" in no_font.message


def test_small_pictures() -> None:
    with Image.open(io.BytesIO(photo())) as picture:
        exif = picture.getexif()
        exif[0x010E] = "taken at home"
        file = io.BytesIO()
        picture.save(file, "JPEG", exif=exif, comment=b"taken at home")
    job = ThumbnailJob(file.getvalue(), side=120)
    small = worker.draw(job)
    assert isinstance(small, bytes)
    assert b"taken at home" not in small
    with Image.open(io.BytesIO(small)) as drawn:
        assert (drawn.format, max(drawn.size)) == ("JPEG", 120)
    refused = worker.draw(replace(job, picture=b"hello"))
    assert isinstance(refused, Refused)
    assert refused.error == "NotAPicture"


def run_python(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("backend", "threads"), [("auto", "1"), ("onnxruntime", "1"), ("chainer", "3")])
def test_threads_are_set_before_anything_heavy_is_imported(backend: str, threads: str) -> None:
    script = f"""
import os, sys
from bot import worker
heavy = {{"numpy", "PIL", "onnxruntime", "chainer", "sqlalchemy", "discord", "slack_bolt"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
worker.initialize(3, {backend!r})
print(*{{os.environ[name] for name in worker.THREAD_VARIABLES}})
"""
    assert run_python(script) == threads


def test_the_bot_itself_never_imports_the_network() -> None:
    script = """
import sys
import bot.app, bot.chat.discord, bot.chat.slack, bot.chat.web.server
print(*{"chainer", "onnxruntime", "onnx"} & set(sys.modules))
"""
    assert run_python(script) == ""
