"""A corpus to look at: pictures of all shapes, jokes in several languages, a night's run that filtered some."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from PIL import Image
from sqlalchemy import select, update

from store.database import open_database
from store.runs import EpochRecord, save_epochs, start_run, update_run
from store.tables import Boke, Picture
from tests.training.corpora import write_corpus
from training.importers import import_files

TRAIN, DEV = 11, 2  # pictures
SIZES = ((640, 90), (90, 640), (300, 300), (12, 10))
TEXTS = (
    "吾輩は{n}番目の写真です",
    "Picture {n} has had enough",
    "الصورة رقم {n}",
    "月曜の朝{n}",
    "A Cat at {n} o’clock",
    "無題{n}",
)
STARS = (10, 8, 6, 4, 2, None)  # of these
CAT, CAT_STARS = "うちの猫は社長です", 50  # of one picture that models learn from
NIGHTS = (datetime(2026, 11, 1, 18, 30, tzinfo=UTC), datetime(2026, 11, 4, 18, 30, tzinfo=UTC))
READ, DROPPED = 90, {"fill_in_the_blank": 0, "length": 3, "duplicates": 8, "of_tomorrow": 1}


def stock(data: Path, files: Path) -> None:
    """Fill a folder for data and the database in it; half of the jokes came three nights later."""
    lines = []
    for n in range(1, TRAIN + DEV + 1):
        path = files / f"images/{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZES[n % len(SIZES)], (n * 19 % 256, 120, 200 - n * 9)).save(path)
        for text, stars in zip(TEXTS, STARS, strict=True):
            line = {"image": f"images/{n}.png", "text": text.format(n=n), "split": "train" if n <= TRAIN else "dev"}
            lines.append(line if stars is None else {**line, "stars": stars})
    lines.append({"image": "images/1.png", "text": CAT, "stars": CAT_STARS, "split": "train"})
    database = open_database(f"sqlite:///{data / 'boke.db'}")
    import_files(database, data, [write_corpus(files / "corpus.jsonl", lines)])
    with database.session() as session:
        session.execute(update(Picture).values(added=NIGHTS[0]))
        for odd, night in enumerate(NIGHTS):
            session.execute(update(Boke).where(Boke.id % 2 == odd).values(first_seen=night))
    stage = {"name": "corpus", "state": "done", "read": READ, "jokes": READ - sum(DROPPED.values()), "dropped": DROPPED}
    update_run(database, start_run(database, "hand", "default"), stages=[stage], state="kept", ended=NIGHTS[1])
    database.close()


def stock_photos(data: Path, files: Path, source: Path, lines: int = 120) -> None:
    """Fill a folder for data with the first lines of a corpus file, and a run that learned from them for three epochs."""
    files.mkdir(parents=True)
    (files / "images").symlink_to(source / "images")
    corpus = files / "corpus.jsonl"
    with (source / "corpus.jsonl").open(encoding="utf-8") as stream:
        corpus.write_text("".join(islice(stream, lines)), encoding="utf-8")
    database = open_database(f"sqlite:///{data / 'boke.db'}")
    import_files(database, data, [corpus])
    with database.reader() as session:
        digests = session.scalars(select(Picture.digest).order_by(Picture.digest).limit(2)).all()
    run = start_run(database, "hand", "default")
    samples = tuple({"picture": digest, "text": f"A dog and a dog {n}"} for n, digest in enumerate(digests))
    losses = ((5.6, 4.4), (4.5, 3.8), (3.9, 3.5))
    save_epochs(
        database,
        run,
        [EpochRecord(n, train, dev, 4e-3, 5.0, samples=samples) for n, (train, dev) in enumerate(losses, 1)],
    )
    stage = {"name": "corpus", "state": "done", "read": lines, "jokes": lines - 3, "dropped": {"length": 3}}
    metrics = {"bits_per_char": 1.31, "r_at_10": 0.55, "novelty": 0.9, "self_repeat": 0.1}
    update_run(database, run, stages=[stage], state="published", metrics=metrics, ended=datetime.now(UTC))
    database.close()
