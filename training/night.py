"""One run from crawl to publication: each stage takes up what the one before it left, also after a kill."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bokemodel.encoders.base import Encoder
from bokemodel.model import BokeModel
from bokemodel.registry import current_folder, published
from store.config import Config
from store.database import Database
from store.runs import copy_epochs, last_runs, update_run
from store.types import now
from store.words import WordFilter
from training.bringing import Options, crawl_stage, import_stage
from training.champion import Live, comparable, live_model, remember_learned
from training.corpus import (
    StoredPicture,
    VotedJoke,
    count_pictures,
    read_addresses,
    read_jokes,
    read_pictures,
    read_voted,
)
from training.dataset import Dataset
from training.encoders import EncoderChoice
from training.examples import find_examples
from training.features import Encoding, FeatureStore, compute_missing
from training.filters import Domain, Filters
from training.fitting import CannotTrain, Fitted, choose_start, fit, load_tokens
from training.funny import MOST as MOST_VOTED
from training.funny import fit_funny
from training.judging import Rule, Verdict, judge
from training.measure import Evaluation, measure
from training.progress import Report
from training.publish import bundle_name, publish
from training.recording import Kept, Recorder, Stage
from training.selection import Selection, read_selection, write_selection
from training.snapshots import Snapshots
from training.train import TrainingDiverged
from training.workplace import Begun, Workplace

log = logging.getLogger(__name__)


class Night:
    """A run. `run` gives the name of what it published, in a sentence; raises Kept."""

    def __init__(
        self, config: Config, database: Database, options: Options, recorder: Recorder, report: Report
    ) -> None:
        self.config, self.database, self.options, self.recorder = config, database, options, recorder
        self._shown = report
        self.seed = config.retrain.seed
        self.data_dir, self.models = config.data.dir, options.models

    def run(self) -> str:
        """From the crawl to the publication; returns what to tell people."""
        crawl_stage(self.config, self.database, self.recorder, self._report, options=self.options)
        brought = import_stage(self.config, self.database, self.recorder, self._report, options=self.options)
        encoder = EncoderChoice.of(self.config.model).load()
        parts = (self.options.recipe.digest, encoder.weights_digest, self.seed, self.config.retrain.dev_share)
        work = Workplace(self.data_dir, *parts, self.models.resolve())
        self._note_published(work)
        live = live_model(self.models, self.data_dir)
        store = FeatureStore.open(self.data_dir, encoder)
        if self.options.recipe.filters.domain:
            self._features(store, encoder, None)
        selection, begun = self._select(work, encoder, store, live, brought)
        self._features(store, encoder, selection)
        dataset = Dataset.of(selection, store, _seen(live, encoder))
        try:
            fitted = self._train(work, begun, dataset, encoder, live)
        except (CannotTrain, TrainingDiverged):  # it would end so again
            work.clear()
            raise
        fitted = self._add_extras(work, dataset, fitted, encoder)
        verdict, evaluation = self._evaluate(dataset, fitted, encoder, live)
        message = self._publish(work, begun, fitted, verdict, evaluation)
        work.clear()
        return message

    def _encoding(self, encoder: Encoder) -> Encoding | None:
        """Where vectors are computed if not here."""
        if self.config.engine.kind != "dask":
            return None
        from training.cluster_features import ClusterEncoding

        return ClusterEncoding(self.config.engine, EncoderChoice.of(self.config.model), encoder)

    def _note_published(self, work: Workplace) -> None:
        """A run that was killed after the link was moved, but before it said so, has published all the same."""
        begun, current = work.begun, current_folder(self.models)
        if begun is None or current is None or current.name != bundle_name(begun.started, work.key):
            return
        live = live_model(self.models, self.data_dir)
        assert live is not None
        facts = {"bundle_digest": live.bundle.digest, "metrics": live.bundle.manifest.metrics, "published": now()}
        message = f"{current.name} is live"
        update_run(self.database, begun.run, state="published", message=message, **facts)
        work.clear()

    def _select(
        self, work: Workplace, encoder: Encoder, store: FeatureStore, live: Live | None, brought: bool
    ) -> tuple[Selection, Begun]:
        with self.recorder.stage("corpus") as stage:
            champion = live.bundle.digest if live else ""
            begun = work.begun
            before = read_selection(work.folder / "selection") if begun and begun.champion == champion else None
            fresh = self.recorder.patiently(
                lambda: self._read_selection(work.folder.with_suffix(".new"), encoder, store)
            )
            fingerprint = _digest(fresh.fingerprint, work.key)
            # Jokes that only the crawl brought meanwhile wait for the next run: an interrupted one goes on as it began.
            if begun and before is not None and (begun.fingerprint == fingerprint or not brought):
                chosen = before
                shutil.rmtree(work.folder.with_suffix(".new"), ignore_errors=True)
                copied = self._continued(work)
                stage.note = f"going on with run {begun.run}, {copied}; "
                begun = replace(begun, run=self.recorder.run_id)
            else:
                work.clear()
                work.folder.mkdir(parents=True)
                work.folder.with_suffix(".new").rename(work.folder / "selection")
                moved = read_selection(work.folder / "selection")
                assert moved is not None
                chosen = moved
                begun = Begun(self.recorder.run_id, now().isoformat(), champion, fingerprint)
            work.note(begun)
            work.clear_old()
            self._count_selection(stage, chosen, begun)
            if not len(chosen):
                work.clear()
                raise Kept(
                    "too_few", "no joke is left to learn from; --import FILE.jsonl brings some, or the crawl does"
                )
            if not self.options.force:
                self._worth_it(work, chosen, begun, champion)
            return chosen, begun

    def _read_selection(self, folder: Path, encoder: Encoder, store: FeatureStore) -> Selection:
        recipe, share = self.options.recipe, self.config.retrain.dev_share
        settings = self.config.filter
        words = WordFilter.load(settings.words, settings.words_file, shipped=settings.shipped_words)
        domain = recipe.filters.domain
        inside = Domain(store, encoder, domain) if domain else None  # type: ignore[arg-type]
        filters = Filters(recipe.filters, words=words, in_domain=inside, folder=self.data_dir)
        voted = read_voted(self.database, encoder.name, encoder.weights_digest, dev_share=share, split="train")
        jokes = self._counted(filters.keep(read_jokes(self.database, dev_share=share)))
        return write_selection(jokes, _liked(voted), folder, lambda: asdict(filters.report))

    def _counted(self, jokes: Iterator[Any]) -> Iterator[Any]:
        for number, joke in enumerate(jokes, 1):
            if number % 10_000 == 0:
                self.recorder.check()
            yield joke

    def _continued(self, work: Workplace) -> str:
        """What an interrupted run had learned by its last snapshot is shown with the run that goes on."""
        begun, saved = work.begun, Snapshots(work.folder / "train").load()
        if begun is None or saved is None:
            return "which had not begun to train"
        epochs = len(saved.facts["epochs"])
        self.recorder.patiently(lambda: copy_epochs(self.database, begun.run, self.recorder.run_id, epochs))
        return f"which had trained {epochs} epochs"

    def _count_selection(self, stage: Stage, selection: Selection, begun: Begun) -> None:
        kept, dev = len(selection), int(selection.dev.sum())
        facts = selection.facts
        stage.count(jokes=kept, pictures=len(selection.digests), dev_pictures=dev, fingerprint=begun.fingerprint)
        stage.count(read=facts["read"], dropped=facts["dropped"], chat=len(selection.vectors))
        dropped = sum(facts["dropped"].values())
        stage.note += (
            f"{kept:,} jokes of {len(selection.digests):,} pictures ({dev:,} held out), {dropped:,} filtered out"
        )

    def _worth_it(self, work: Workplace, selection: Selection, begun: Begun, champion: str) -> None:
        """Raises Kept where no training could come to anything."""
        if len(selection) < self.config.retrain.min_jokes:
            work.clear()
            raise Kept(
                "too_few",
                f"{len(selection):,} jokes after filtering, retrain.min_jokes asks for {self.config.retrain.min_jokes:,}",
            )
        for run in last_runs(self.database, 50, ("published", "kept")):
            if begun.fingerprint not in (stage.get("fingerprint") for stage in run.stages):
                continue
            there = any(bundle.digest == run.bundle_digest for bundle in published(self.models))
            beaten = run.reason == "not_better" and run.champion_digest == champion
            if there if run.state == "published" else beaten:
                work.clear()
                raise Kept("nothing_new", f"nothing is new since run {run.id}")

    # --- model ---

    def _features(self, store: FeatureStore, encoder: Encoder, selection: Selection | None) -> None:
        with self.recorder.stage("features") as stage:
            total = self.recorder.patiently(lambda: count_pictures(self.database))
            wanted = None if selection is None else {bytes(digest).decode() for digest in selection.digests}
            if wanted is not None:
                total = len(wanted)

            def pictures() -> Iterator[StoredPicture]:
                return (p for p in read_pictures(self.database) if wanted is None or p.digest in wanted)

            pixels = self.config.pictures.max_pixels
            done = self.recorder.patiently(
                lambda: compute_missing(
                    store,
                    self.data_dir,
                    pictures(),
                    encoder,
                    total=total,
                    max_pixels=pixels,
                    report=self._report,
                    encoding=self._encoding(encoder),
                )
            )
            for problem in done.unreadable:
                log.warning("a picture gives no vector: %s", problem)
            stage.count(known=done.known, computed=done.computed, failed=done.failed)
            stage.note = f"{done.computed:,} pictures encoded, {done.known:,} known, {done.failed:,} unreadable"

    def _train(self, work: Workplace, begun: Begun, dataset: Dataset, encoder: Encoder, live: Live | None) -> Fitted:
        with self.recorder.stage("train") as stage:
            texts, count = dataset.selection.texts, len(dataset.selection)
            parent = live.parent if live else None
            start = choose_start(dataset, self.options.recipe, encoder, parent, work.folder, self.seed)
            tokens = load_tokens(
                work.folder, texts, start.tokenizer, lambda done: self._report("cutting texts", done, count)
            )
            fitted = fit(
                dataset,
                tokens,
                self.options.recipe,
                start,
                encoder,
                folder=work.folder,
                seed=self.seed,
                vote_weight=self.config.retrain.vote_weight,
                device=self.options.device,
                created=begun.started,
                on_epoch=self.recorder.epoch,
                on_step=lambda step: self._report(
                    "training", (step.epoch - 1) * step.batches + step.done, step.epochs * step.batches
                ),
            )
            trained, last = fitted.trained, fitted.trained.epochs[-1]
            stage.count(epochs=len(trained.epochs), units=len(start.tokenizer), train_loss=last.train_loss)
            stage.count(dev_loss=trained.dev_loss, start=start.why, chosen=trained.chosen)
            dev = "" if trained.dev_loss is None else f", held out {trained.dev_loss:.3f}"
            stage.note = (
                f"{start.why}; {len(trained.epochs)} epochs, {last.train_loss:.3f} nats per token{dev} "
                f"({trained.chosen}), {len(start.tokenizer):,} units"
            )
            if self.options.recipe.train.equal_lengths:  # an article's recipe: what its figures can be held against
                first = fitted.trained.epochs[0]
                stage.note += f"; as the article prints it: {first.article_loss:.2f} -> {last.article_loss:.2f}"
            return fitted

    def _add_extras(self, work: Workplace, dataset: Dataset, fitted: Fitted, encoder: Encoder) -> Fitted:
        """What the model carries beside its decoder: a sense of what is funny, and jokes to quote."""
        with self.recorder.stage("extras") as stage:
            bundle = fitted.bundle
            tokens = load_tokens(
                work.folder, dataset.selection.texts, bundle.tokenizer, lambda _: self.recorder.check()
            )
            answers = self.recorder.patiently(lambda: self._answers(encoder))
            learned = fit_funny(bundle, dataset, tokens, answers=answers)
            examples = find_examples(
                dataset, lambda digests: self.recorder.patiently(lambda: read_addresses(self.database, digests))
            )
            quoted = len(examples) if examples else 0
            if learned is None:
                stage.note = "no sense of what is funny (too few stars and votes)"
            else:
                stage.count(funny_jokes=learned.jokes, funny_correlation=round(learned.correlation, 3))
                stage.note = f"funny: {learned.correlation:.2f} with the stars of {learned.jokes:,} jokes"
            stage.count(quoted_pictures=quoted)
            stage.note += f"; {quoted:,} pictures' jokes to quote"
            extra = {**(learned.funny.files() if learned else {}), **(examples.files() if examples else {})}
            return replace(fitted, bundle=replace(bundle, extra={**bundle.extra, **extra}))

    def _answers(self, encoder: Encoder) -> list[VotedJoke]:
        """The bot's own that people voted on, the last ones."""
        share = self.config.retrain.dev_share
        voted = read_voted(self.database, encoder.name, encoder.weights_digest, dev_share=share, split="train")
        return list(deque(voted, MOST_VOTED))

    def _evaluate(
        self, dataset: Dataset, fitted: Fitted, encoder: Encoder, live: Live | None
    ) -> tuple[Verdict, Evaluation | None]:
        with self.recorder.stage("evaluate") as stage:
            pictures = dataset.held_out()
            written = dataset.selection.contains()

            def measured(model: BokeModel) -> Evaluation:
                return measure(model, pictures, written=written, seed=self.seed, report=self._report)

            new = measured(BokeModel(fitted.bundle, encoder)) if pictures else None
            if new is not None:
                self.recorder.set(metrics=new.metrics.to_json())
            different = comparable(live, fitted.bundle, encoder)
            if live is not None:
                self.recorder.set(champion_digest=live.bundle.digest)
            if different or live is None:
                verdict = Verdict(True, f"no champion to beat: {different}")
            elif new is None:
                verdict = Verdict(False, "no picture is held out, so the new model cannot be compared")
            else:
                old = measured(BokeModel(live.bundle, encoder))
                self.recorder.set(champion_metrics=old.metrics.to_json())
                verdict = judge(new.metrics, old.metrics, _rule(self.config))
            stage.count(better=verdict.publish)
            if new is not None:
                stage.count(pictures=new.metrics.pictures, jokes=new.metrics.jokes)
                stage.count(bits_per_char=new.metrics.bits_per_char, r_at_10=new.metrics.r_at_10)
            stage.note = verdict.reason
            return verdict, new

    def _publish(
        self, work: Workplace, begun: Begun, fitted: Fitted, verdict: Verdict, evaluation: Evaluation | None
    ) -> str:
        with self.recorder.stage("publish") as stage:
            if not verdict.publish and not self.options.force:
                stage.skip("the old model stays")
                work.clear()
                raise Kept("not_better", verdict.reason)
            name = bundle_name(begun.started, work.key)
            metrics = evaluation.metrics.to_json() if evaluation else {}
            bundle = replace(fitted.bundle, manifest=replace(fitted.bundle.manifest, metrics=metrics))
            with self.recorder.shielded():
                place = publish(self.models, bundle, name, self.config.retrain.keep)
                stage.count(bundle=name)
                stage.note = f"{place} is live"
                live = live_model(self.models, self.data_dir)
                assert live is not None
                remember_learned(self.data_dir, live.bundle.digest, fitted.keys)
                self.recorder.set(published=now(), bundle_digest=live.bundle.digest)
            return f"{name} is live: {verdict.reason}"

    def _report(self, stage: str, done: int, total: int) -> None:
        self.recorder.check()
        self._shown(stage, done, total)


def _liked(answers: Iterator[VotedJoke]) -> Iterator[VotedJoke]:
    return (answer for answer in answers if answer.joke.up > answer.joke.down)


def _seen(live: Live | None, encoder: Encoder) -> frozenset[str]:
    """Pictures that a model was trained on which the new one may go on from, or must beat."""
    if live is None or live.bundle.manifest.encoder_digest != encoder.weights_digest:
        return frozenset()
    return frozenset(live.bundle.manifest.training_pictures)


def _rule(config: Config) -> Rule:
    retrain = config.retrain
    return Rule(retrain.min_gain, retrain.max_grounding_drop, retrain.max_novelty_drop, retrain.max_self_repeat_rise)


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
