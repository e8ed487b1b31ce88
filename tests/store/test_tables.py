"""The tables and the migrations are the same thing, on both databases; the columns mean the same on both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, func, inspect, select
from sqlalchemy.exc import IntegrityError, StatementError

from store import tables
from store.database import Database
from store.tables import Answer, Base, Boke, Odai, Picture, Run, RunEpoch, Vote


def picture(digest: str = "a" * 64) -> Picture:
    return Picture(digest=digest, path="pictures/aa.jpg", width=4, height=3, bytes=5_000_000_000)


def answer(**changes: object) -> Answer:
    values: dict[str, object] = {
        "public_id": "f" * 32, "platform": "web", "channel_id": "page", "picture_key": "k", "text": "猫の会議", "score": -1.5,
        "candidates": [{"text": "猫の会議", "score": -1.5}], "mode": "boke", "model": "m", "encoder": "e",
    }  # fmt: skip
    return Answer(**{**values, **changes})


def test_migrations_make_exactly_these_tables(any_database: Database) -> None:
    with any_database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_difference_would_be_found(any_database: Database) -> None:
    with any_database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE boke DROP COLUMN flagged")
        context = MigrationContext.configure(connection)
        assert [change[0] for change in compare_metadata(context, Base.metadata)] == ["add_column"]


def test_constraints_have_names(any_database: Database) -> None:
    found = inspect(any_database.engine)
    assert found.get_pk_constraint("boke")["name"] == "pk_boke"
    assert {c["name"] for c in found.get_unique_constraints("odai")} == {"uq_odai_source_external_id"}
    assert {c["name"] for c in found.get_check_constraints("votes")} == {"ck_votes_up_or_down"}
    assert {f["name"] for f in found.get_foreign_keys("odai")} == {"fk_odai_picture_digest"}


def test_a_moment_comes_back_in_utc(any_database: Database) -> None:
    tokyo = datetime(2013, 4, 1, 8, 30, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    with any_database.session() as session:
        session.add(Odai(source="bokete", external_id="1", posted=tokyo))
    with any_database.reader() as session:
        posted = session.scalars(select(Odai.posted)).one()
        assert posted == tokyo
        assert posted is not None
        assert posted.tzinfo is UTC
        assert session.scalars(select(Odai.id).where(Odai.posted < tokyo + timedelta(seconds=1))).one()
        assert session.scalars(select(Odai.id).where(Odai.posted < tokyo)).one_or_none() is None


def test_a_moment_without_zone_is_refused(any_database: Database) -> None:
    with pytest.raises(StatementError, match="without a time zone"), any_database.session() as session:
        session.add(Odai(source="bokete", external_id="1", posted=datetime(2013, 4, 1)))


def test_a_joke_needs_a_picture_or_an_odai(any_database: Database) -> None:
    with any_database.session() as session:
        session.add(Boke(picture=picture(), source="file", text="a", text_hash=-(2**63)))
        session.add(Boke(odai=Odai(source="bokete", external_id="1"), source="bokete", text="b", text_hash=2**63 - 1))
    with pytest.raises(IntegrityError), any_database.session() as session:
        session.add(Boke(source="file", text="c", text_hash=0))
    with pytest.raises(IntegrityError), any_database.session() as session:
        session.add(Boke(picture_digest="b" * 64, source="file", text="no such picture", text_hash=0))
    with any_database.reader() as session:
        assert sorted(session.scalars(select(Boke.text_hash))) == [-(2**63), 2**63 - 1]
        assert session.scalars(select(Picture.bytes)).one() == 5_000_000_000


def test_a_sites_joke_is_stored_once_and_own_ones_as_often_as_they_come(any_database: Database) -> None:
    with any_database.session() as session:
        session.add(picture())
        session.flush()
        for external_id in (None, None, "7"):
            session.add(Boke(picture_digest="a" * 64, source="s", external_id=external_id, text="a", text_hash=1))
    with pytest.raises(IntegrityError), any_database.session() as session:
        session.add(Boke(picture_digest="a" * 64, source="s", external_id="7", text="a", text_hash=1))
    with any_database.session() as session:
        session.add(Boke(picture_digest="a" * 64, source="other", external_id="7", text="a", text_hash=1))


def test_votes_and_epochs_go_with_what_they_belong_to(any_database: Database) -> None:
    with any_database.session() as session:
        row = answer()
        session.add_all([Vote(answer=row, voter="a", value=1), Vote(answer=row, voter="b", value=-1)])
        session.add(RunEpoch(run=Run(), epoch=1, train_loss=4.5))
    with pytest.raises(IntegrityError), any_database.session() as session:
        session.add(Vote(answer_id=1, voter="c", value=2))
    with any_database.session() as session:
        session.execute(delete(Answer))
        session.execute(delete(Run))
    with any_database.reader() as session:
        assert session.scalars(select(func.count()).select_from(Vote)).one() == 0
        assert session.scalars(select(func.count()).select_from(RunEpoch)).one() == 0


def test_json_keeps_its_shape(any_database: Database) -> None:
    stages = [{"name": "crawl", "seconds": 1.5, "pages": 12}]
    with any_database.session() as session:
        session.add(Run(stages=stages, metrics={"bits_per_char": 3.25, "r_at_10_ci95": [0.1, 0.2]}))
    with any_database.reader() as session:
        run = session.scalars(select(Run)).one()
        assert run.stages == stages
        assert run.metrics == {"bits_per_char": 3.25, "r_at_10_ci95": [0.1, 0.2]}
        assert (run.state, run.trigger, run.champion_metrics) == ("running", "hand", {})


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (select(Boke.text).where(Boke.picture_digest == "x"), "ix_boke_picture_digest_text_hash"),
        (select(Boke.id).where(Boke.source == "s", Boke.external_id == "1"), "sqlite_autoindex_boke_1"),
        (select(Boke.id).where(Boke.text_hash == 5), "ix_boke_text_hash"),
        (select(Odai.id).where(Odai.picture_url == "x"), "ix_odai_picture_url"),
        (
            select(Answer.text)
            .where(Answer.platform == "p", Answer.channel_id == "c", Answer.picture_key == "k")
            .order_by(Answer.created.desc()),
            "ix_answers_platform_channel_id_picture_key_created",
        ),
        (
            select(Answer.id).where(Answer.platform == "p", Answer.channel_id == "c", Answer.reply_id == "r"),
            "ix_answers_platform_channel_id_reply_id",
        ),
        (select(Answer.id).where(Answer.created < datetime(2020, 1, 1, tzinfo=UTC)), "ix_answers_created"),
        (select(func.sum(Vote.value)).where(Vote.answer_id == 1), "sqlite_autoindex_votes_1"),
        (
            select(tables.FrontierPage.url)
            .where(tables.FrontierPage.state == "waiting")
            .order_by(tables.FrontierPage.priority, tables.FrontierPage.next_try),
            "ix_frontier_state_priority_next_try",
        ),
    ],
)  # fmt: skip
def test_the_everyday_questions_use_an_index(tmp_path: object, statement: object, index: str) -> None:
    from store.database import open_database

    database = open_database(f"sqlite:///{tmp_path}/plan.db")
    with database.engine.connect() as connection:
        text = statement.compile(database.engine, compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    database.close()
    assert any(index in line for line in plan), plan
    assert not any("TEMP B-TREE" in line for line in plan), plan
