"""A corpus to look at: pictures of all shapes, jokes in several languages, a night's run that filtered some."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from PIL import Image
from sqlalchemy import update

from store.database import open_database
from store.runs import start_run, update_run
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
