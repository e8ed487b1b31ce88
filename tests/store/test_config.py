"""Defaults, file and environment in that order; whatever is wrong is one readable line that names key and place."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from store.config import SECRETS, Config, example, load_config
from store.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _clean_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("BOKE__") or name in SECRETS.values():
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(text: str) -> Path:
    Path("config.toml").write_text(text, encoding="utf-8")
    return Path("config.toml")


def problems(path: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).splitlines() == list(caught.value.problems)
    assert not any(word in str(caught.value) for word in ("pydantic", "Input", "validation", "Traceback"))
    return list(caught.value.problems)


# --- where values come from -----------------------------------------------------------------------------------------


def test_nothing_configured() -> None:
    config = load_config()
    assert config == Config()
    assert (config.web.host, config.web.port) == ("127.0.0.1", 8080)
    assert config.database.url == "sqlite:///data/boke.db"
    assert config.chat.enabled_channels == ()
    assert config.pictures.max_bytes == 20 * 1024 * 1024
    assert config.discord.api_base == "https://discord.com/api/v10"
    assert config.crawl.enabled is False
    assert config.retrain.min_jokes == 2000
    assert config.model.path is None
    assert config.inference.temperature is None
    assert config.inference.queue_size >= 64


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    write('[web]\nport = 1111\nhost = "0.0.0.0"\n')
    monkeypatch.setenv("BOKE__WEB__PORT", "2222")
    config = load_config()
    assert (config.web.port, config.web.host, config.web.posts_per_minute) == (2222, "0.0.0.0", 20)


def test_a_named_file_goes_before_the_one_that_lies_there(tmp_path: Path) -> None:
    write("[web]\nport = 1111\n")
    (tmp_path / "other.toml").write_text("[web]\nport = 3333\n")
    assert load_config("other.toml").web.port == 3333


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BOKE__WEB__PORT", "BOKE__CHAT__ENABLED_CHANNELS", "DISCORD_TOKEN", "BOKE_ADMIN_TOKEN"):
        monkeypatch.setenv(name, "")
    assert load_config() == Config()


def test_names_of_variables_may_be_written_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("boke__web__port", "2222")
    assert load_config().web.port == 2222


def test_other_programs_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOKE_SHARED_DATA", "/somewhere")
    monkeypatch.setenv("BOKEH_RESOURCES", "cdn")
    assert load_config() == Config()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('["*"]', ("*",)),
        ('["C1", 123456789012345678]', ("C1", "123456789012345678")),
        ("C1, 123456789012345678,", ("C1", "123456789012345678")),
        ("123456789012345678", ("123456789012345678",)),
        ("*", ("*",)),
        ("[]", ()),
    ],
)
def test_lists_in_the_environment(monkeypatch: pytest.MonkeyPatch, value: str, expected: tuple[str, ...]) -> None:
    monkeypatch.setenv("BOKE__CHAT__ENABLED_CHANNELS", value)
    assert load_config().chat.enabled_channels == expected


def test_ids_in_the_file_may_be_numbers() -> None:
    write('[chat]\nenabled_channels = [123456789012345678, "C1"]\n[discord]\ncommand_guild = 5\n')
    config = load_config()
    assert config.chat.enabled_channels == ("123456789012345678", "C1")
    assert config.discord.command_guild == "5"


@pytest.mark.parametrize(("value", "expected"), [("0.5", 0.5), ("auto", None)])
def test_a_number_or_the_models_own(monkeypatch: pytest.MonkeyPatch, value: str, expected: float | None) -> None:
    monkeypatch.setenv("BOKE__INFERENCE__TEMPERATURE", value)
    assert load_config().inference.temperature == expected


def test_who_moves_the_data_moves_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOKE__DATA__DIR", "/var/lib/boke bot")
    assert load_config().database.url == "sqlite:////var/lib/boke bot/boke.db"
    monkeypatch.setenv("BOKE__DATABASE__URL", "postgresql://boke:pw@db/boke")
    assert load_config().database.url == "postgresql://boke:pw@db/boke"


def test_home_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/boke")
    monkeypatch.setenv("BOKE__MODEL__PATH", "~/bundle")
    assert load_config().model.path == Path("/home/boke/bundle")


def test_it_cannot_be_changed_and_travels_to_other_processes() -> None:
    config = load_config()
    with pytest.raises(ValueError, match="frozen"):
        config.web.port = 1  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(config)) == config


# --- secrets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "variable"), SECRETS.items())
def test_secrets_come_from_their_variables_and_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, key: str, variable: str
) -> None:
    monkeypatch.setenv(variable, "xoxb-very-secret")
    monkeypatch.setenv("BOKE__DATABASE__URL", "postgresql://boke:xoxb-very-secret@db/boke")
    config = load_config()
    assert getattr(config.secrets, key).get_secret_value() == "xoxb-very-secret"
    assert "very-secret" not in repr(config) + str(config)


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ('[discord]\ntoken = "s3cret"', "DISCORD_TOKEN"),
        ('[slack]\nbot_token = "s3cret"', "SLACK_BOT_TOKEN"),
        ('[slack]\nslack_app_token = "s3cret"', "SLACK_APP_TOKEN"),
        ('[slack]\nsigning_secret = "s3cret"', "SLACK_SIGNING_SECRET"),
        ('[web]\nadmin_token = "s3cret"', "BOKE_ADMIN_TOKEN"),
        ('DISCORD_TOKEN = "s3cret"', "DISCORD_TOKEN"),
        ('[secrets]\ndiscord_token = "s3cret"', "DISCORD_TOKEN"),
        ('[web]\ntoken = "s3cret"', "BOKE_ADMIN_TOKEN"),
    ],
)
def test_a_secret_in_the_file_is_refused(text: str, variable: str) -> None:
    (line,) = problems(write(text))
    assert line.startswith("config.toml: ")
    assert "environment only" in line
    assert variable in line
    assert "s3cret" not in line


def test_a_secret_in_a_variable_of_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOKE__SECRETS__DISCORD_TOKEN", "s3cret")
    monkeypatch.setenv("BOKE__SLACK__BOT_TOKEN", "s3cret")
    lines = problems()
    assert [line.split(":")[0] for line in lines] == ["BOKE__SECRETS__DISCORD_TOKEN", "BOKE__SLACK__BOT_TOKEN"]
    assert "s3cret" not in "".join(lines)


# --- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[web]\nport = "abc"', 'config.toml: web.port = "abc": should be a whole number'),
        ("[web]\nport = 8080.5", "config.toml: web.port = 8080.5: should be a whole number"),
        ("[web]\nport = true", "config.toml: web.port = true: should be a number"),
        ("[web]\nport = 65536", "config.toml: web.port = 65536: should be at most 65535"),
        ("[web]\nhost = 5", "config.toml: web.host = 5: should be text in quotes"),
        ("[web]\nprot = 1", "config.toml: web.prot: there is no such key; do you mean web.port?"),
        ("[webb]\nport = 1", "config.toml: webb: there is no such section; do you mean web?"),
        ("port = 1", "config.toml: port: there is no such section"),
        ("web = 1", "config.toml: web: should be a section of its own, such as [web]"),
        ('[chat]\nenabled_channels = ["C1", 1.5]', "config.toml: chat.enabled_channels (item 2) = 1.5: should be text in quotes"),
        ("[chat]\nenabled_channels = 5", 'config.toml: chat.enabled_channels = 5: should be a list such as ["a", "b"]'),
        ("[chat]\nprobability = 2", "config.toml: chat.probability = 2: should be at most 1"),
        ("[chat]\ncooldown_s = -1", "config.toml: chat.cooldown_s = -1: should be at least 0"),
        ("[chat]\ncooldown_s = inf", "config.toml: chat.cooldown_s = Infinity: should be a number"),
        ("[chat]\nautomatic = 7", "config.toml: chat.automatic = 7: should be true or false"),
        ('[chat]\nlanguage = "fr"', 'config.toml: chat.language = "fr": should be "ja" or "en"'),
        ('[chat]\nquiet_hours = "late"', 'config.toml: chat.quiet_hours = "late": should be hours such as 01:00-06:00, or empty'),
        ("[inference]\nqueue_size = 63", "config.toml: inference.queue_size = 63: should be at least 64"),
        ("[inference]\ntemperature = 0", "config.toml: inference.temperature = 0: should be more than 0"),
        ("[model]\npath = 5", "config.toml: model.path = 5: should be a path in quotes"),
        ("[model]\nencoder_mean = [1, 2]", "config.toml: model.encoder_mean = [1, 2]: should have 3 values"),
        ('[slack]\nbase_url = ""', 'config.toml: slack.base_url = "": may not be empty'),
        ('[slack]\nbase_url = "slack.com"', 'config.toml: slack.base_url = "slack.com": should be an address such as https://example.org'),
        ('[engine]\nkind = "dask"', "config.toml: engine: address is needed where kind is dask"),
        (
            '[retrain]\ntimezone = "Mars/Base"',
            'config.toml: retrain.timezone = "Mars/Base": is no time zone; write one such as Asia/Tokyo or Europe/Berlin',
        ),
        ('[retrain]\ncron = "0 0 31 2 *"', 'config.toml: retrain.cron = "0 0 31 2 *": names a date that never comes'),
    ],
)  # fmt: skip
def test_a_wrong_value_in_the_file(text: str, line: str) -> None:
    assert problems(write(text)) == [line]


@pytest.mark.parametrize("expression", ["nightly", "60 3 * * *", "30 3 * *", ""])
def test_a_wrong_cron_expression(expression: str) -> None:
    (line,) = problems(write(f'[retrain]\ncron = "{expression}"'))
    assert line.startswith(f'config.toml: retrain.cron = "{expression}": is no cron expression')


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("BOKE__WEB__PORT", "abc", 'BOKE__WEB__PORT: web.port = "abc": should be a whole number'),
        ("BOKE__CHAT__CARD_DEFAULT", "maybe", 'BOKE__CHAT__CARD_DEFAULT: chat.card_default = "maybe": should be true or false'),
        ("BOKE__WEB__PROT", "1", "BOKE__WEB__PROT: web.prot: there is no such key; do you mean web.port?"),
        ("BOKE__WEBB__PORT", "1", "BOKE__WEBB__PORT: there is no section webb; do you mean web?"),
        ("BOKE__WEB", "1", "BOKE__WEB: should be BOKE__WEB__KEY"),
        (
            "BOKE__CHAT__ENABLED_CHANNELS",
            "[C1",
            'BOKE__CHAT__ENABLED_CHANNELS: chat.enabled_channels = "[C1": should be a list such as ["a", "b"] or a,b',
        ),
    ],
)  # fmt: skip
def test_a_wrong_value_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    write("[web]\nhost = 'localhost'\n")  # the variable is to blame, not the file
    monkeypatch.setenv(variable, value)
    assert problems() == [line]


@pytest.mark.parametrize("url", ["mysql://boke:s3cret@host/name", "s3cret", "postgresql://boke:s3cret@host:port/name"])
def test_a_wrong_database_address_is_not_repeated(url: str) -> None:
    (line,) = problems(write(f'[database]\nurl = "{url}"'))
    assert line.startswith("config.toml: database.url: ")
    assert "s3cret" not in line


def test_several_problems_are_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    write('[web]\nport = "abc"\n[slack]\nmode = "x"\n')
    monkeypatch.setenv("BOKE__NOWHERE__X", "1")
    assert [line.split(" ")[1] for line in problems()] == ["there", "web.port", "slack.mode"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert problems(Path("missing.toml")) == [
        "missing.toml: there is no such file; config.example.toml shows what it may hold"
    ]
    (line,) = problems(tmp_path)
    assert line.endswith("cannot be read: Is a directory")
    (line,) = problems(write("[web]\nport = =\n"))
    assert line.startswith("config.toml: is not TOML: ")
    assert "line 2" in line
    Path("latin.toml").write_bytes("# Käse".encode("latin-1"))
    assert problems(Path("latin.toml")) == ["latin.toml: is not UTF-8 text"]


# --- the example ----------------------------------------------------------------------------------------------------


def keys(values: dict[str, Any]) -> set[str]:
    return {f"{section}.{key}" for section, table in values.items() for key in table}


def test_the_example_is_what_the_program_prints() -> None:
    printed = subprocess.run([sys.executable, "-m", "store.config"], cwd=ROOT, capture_output=True, check=True).stdout
    assert (ROOT / "config.example.toml").read_bytes() == printed


def test_the_example_holds_every_key_and_changes_nothing() -> None:
    path = ROOT / "config.example.toml"
    assert load_config(path) == Config()
    known = {
        f"{section}.{key}"
        for section, field in Config.model_fields.items()
        if section != "secrets"
        for key in field.annotation.model_fields  # type: ignore[union-attr]
    }
    assert keys(tomllib.loads(path.read_text(encoding="utf-8"))) == known
    assert len(known) > 100


def test_every_key_says_why() -> None:
    for line in example().splitlines():
        if " = " in line and not line.startswith("#"):
            assert len(line.partition("  # ")[2]) > 5, line


def test_the_keys_that_others_rely_on() -> None:
    fixed = """database.url web.host web.port discord.api_base slack.base_url chat.enabled_channels chat.cooldown_s
        web.posts_per_minute pictures.allowed_hosts pictures.max_bytes pictures.max_pixels model.path model.encoder models.dir
        engine.kind engine.workers engine.address crawl.enabled crawl.base_url crawl.delay_s crawl.max_requests
        retrain.cron retrain.timezone retrain.recipe retrain.min_jokes data.dir"""
    assert set(fixed.split()) <= keys(tomllib.loads(example()))


def test_the_helper_for_tests_reads_no_variable(
    monkeypatch: pytest.MonkeyPatch, make_config: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("BOKE__WEB__PORT", "1")
    config = make_config(web={"posts_per_minute": 3}, chat={"cooldown_s": 0})
    assert (config.web.port, config.web.posts_per_minute, config.chat.cooldown_s) == (0, 3, 0)
    assert config.database.url == f"sqlite:///{tmp_path}/data/boke.db"
