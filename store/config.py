"""The configuration: defaults, then a TOML file, then the environment. The only reader of all three.

`python -m store.config` prints config.example.toml.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from store import sections
from store.errors import ConfigError

PREFIX, DELIMITER = "BOKE__", "__"
DEFAULT_FILE = Path("config.toml")

# Keys of `Secrets` and the variables they come from, and nothing else.
SECRETS = {
    "discord_token": "DISCORD_TOKEN",
    "slack_bot_token": "SLACK_BOT_TOKEN",
    "slack_app_token": "SLACK_APP_TOKEN",
    "slack_signing_secret": "SLACK_SIGNING_SECRET",
    "admin_token": "BOKE_ADMIN_TOKEN",
}


class Secrets(sections.Section):
    """Tokens; None where the variable is not set or empty."""

    discord_token: SecretStr | None = None
    slack_bot_token: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    admin_token: SecretStr | None = None


class Config(BaseModel):
    """Everything that can be set. Immutable; `load_config` makes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    data: sections.Data = Field(default_factory=sections.Data)
    database: sections.DatabaseSection = Field(default_factory=sections.DatabaseSection)
    web: sections.Web = Field(default_factory=sections.Web)
    discord: sections.Discord = Field(default_factory=sections.Discord)
    slack: sections.Slack = Field(default_factory=sections.Slack)
    chat: sections.Chat = Field(default_factory=sections.Chat)
    pictures: sections.Pictures = Field(default_factory=sections.Pictures)
    card: sections.Card = Field(default_factory=sections.Card)
    model: sections.Model = Field(default_factory=sections.Model)
    models: sections.Models = Field(default_factory=sections.Models)
    engine: sections.Engine = Field(default_factory=sections.Engine)
    inference: sections.Inference = Field(default_factory=sections.Inference)
    filter: sections.Filter = Field(default_factory=sections.Filter)
    privacy: sections.Privacy = Field(default_factory=sections.Privacy)
    crawl: sections.Crawl = Field(default_factory=sections.Crawl)
    retrain: sections.Retrain = Field(default_factory=sections.Retrain)
    log: sections.Log = Field(default_factory=sections.Log)
    secrets: Secrets = Field(default_factory=Secrets)

    @model_validator(mode="after")
    def _place_database(self) -> Config:
        """Who moves `data.dir` moves the database with it."""
        if not self.database.url:
            path = (self.data.dir / "boke.db").as_posix()
            url = URL.create("sqlite", database=path).render_as_string(hide_password=False)
            object.__setattr__(self, "database", self.database.model_copy(update={"url": url}))
        return self


def load_config(path: str | Path | None = None) -> Config:
    """Read the configuration.

    Args:
        path: the TOML file; None takes `config.toml` of the working directory if there is one.

    Returns:
        Defaults, overridden by the file, overridden by `BOKE__SECTION__KEY`; secrets from their own variables. An empty
        variable counts as not set. Relative paths are relative to the working directory.

    Raises:
        ConfigError: one line for each problem, naming the file or variable, the key, the value and what is wrong.
    """
    file = Path(path) if path is not None else DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    content = {} if file is None else _read(file)
    problems = [*_stray_variables(), *_stray_secrets(content, file)]
    secrets = {key: os.environ[name] for key, name in SECRETS.items() if os.environ.get(name)}
    try:
        loaded = _loader(file)(secrets=secrets)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["loc"][0] != "secrets" and f"{PREFIX}{detail['loc'][0]}".upper() not in _variables():
                problems.append(_line(detail, content, file))
        raise ConfigError(problems) from None
    if problems:
        raise ConfigError(problems)
    return Config(**{name: getattr(loaded, name) for name in Config.model_fields})


def secret_values(config: Config) -> list[str]:
    """Everything in a configuration that nobody may read in a log: tokens, and the database's password."""
    found = [secret.get_secret_value() for _, secret in config.secrets if secret is not None]
    try:
        url = make_url(config.database.url)
    except (ArgumentError, ValueError):  # not understood, so it is not known where in it a password stands
        return [*found, config.database.url]
    asked = url.query.get("password", ())
    return [*found, *filter(None, [url.password, *([asked] if isinstance(asked, str) else asked)])]


def _loader(file: Path | None) -> type[BaseSettings]:
    class Loader(Config, BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=PREFIX,
            env_nested_delimiter=DELIMITER,
            env_ignore_empty=True,
            enable_decoding=False,  # lists are read by their own type: JSON or commas
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            files = () if file is None else (TomlConfigSettingsSource(settings_cls, file),)
            return init_settings, env_settings, *files

    return Loader


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file; config.example.toml shows what it may hold") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not UTF-8 text") from None


def _variables() -> dict[str, str]:
    """The program's own variables that are set, as written, by their name in capitals."""
    return {name.upper(): name for name, value in os.environ.items() if name.upper().startswith(PREFIX) and value}


def _stray_variables() -> Iterator[str]:
    for variable in sorted(_variables().values()):
        section, *keys = variable[len(PREFIX) :].lower().split(DELIMITER)
        if section == "secrets":
            yield f"{variable}: secrets have their own variables: {', '.join(SECRETS.values())}"
        elif section not in Config.model_fields:
            yield f"{variable}: there is no section {section}{_meant(section, Config.model_fields)}"
        elif len(keys) != 1:
            yield f"{variable}: should be {PREFIX}{section.upper()}{DELIMITER}KEY"


def _stray_secrets(content: Mapping[str, Any], file: Path | None) -> Iterator[str]:
    if "secrets" in content:
        yield f"{file}: secrets: come from the environment only, as {', '.join(SECRETS.values())}"


def _line(detail: ErrorDetails, content: Mapping[str, Any], file: Path | None) -> str:
    section, key, *rest = [*(str(part) for part in detail["loc"]), ""]
    variable = f"{PREFIX}{section}{DELIMITER}{key}".upper() if key else ""
    where = _variables().get(variable) or (str(file) if file is not None and section in content else "configuration")
    name = f"{section}.{key}" if key else section
    if detail["type"] == "extra_forbidden":
        return f"{where}: {name}: {_unknown(section, key)}"
    item = f" (item {int(rest[0]) + 1})" if rest and rest[0].isdigit() else ""
    shown = "" if not key or _is_private(section, key) else f" = {_value(detail['input'])}"
    return f"{where}: {name}{item}{shown}: {_problem(detail)}"


def _unknown(section: str, key: str) -> str:
    for secret, variable in SECRETS.items():
        if (key or section).lower() in (secret, variable.lower(), secret.removeprefix(f"{section}_")):
            return f"a secret comes from the environment only; set {variable}"
    if (key or section).lower().endswith(("token", "secret")):
        return f"secrets come from the environment only, as {', '.join(SECRETS.values())}"
    if not key:
        return f"there is no such section{_meant(section, Config.model_fields)}"
    return f"there is no such key{_meant(key, _fields(section), section + '.')}"


def _meant(word: str, known: Mapping[str, Any], prefix: str = "") -> str:
    close = difflib.get_close_matches(word.lower(), [name for name in known if name != "secrets"], n=1)
    return f"; do you mean {prefix}{close[0]}?" if close else ""


def _problem(detail: ErrorDetails) -> str:
    kind, limits = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(limits["error"])
    if kind in _LIMITS:
        word, limit = _LIMITS[kind]
        return f"should be {word} {limits[limit]}"
    if kind in ("too_short", "too_long"):
        return f"should have {limits.get('min_length', limits.get('max_length'))} values"
    if kind == "literal_error":
        return f"should be {limits['expected']}".replace("'", '"')
    return next((words for start, words in _KINDS.items() if kind.startswith(start)), detail["msg"])


_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_KINDS = {
    "int": "should be a whole number",
    "float": "should be a number",
    "finite": "should be a number",
    "bool": "should be true or false",
    "string": "should be text in quotes",
    "path": "should be a path in quotes",
    "tuple": 'should be a list such as ["a", "b"]',
    "model": "should be a section of its own, such as [web]",
}


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _fields(section: str) -> Mapping[str, FieldInfo]:
    field = Config.model_fields.get(section.lower())
    return {} if field is None else _section(field).model_fields


def _section(field: FieldInfo) -> type[sections.Section]:
    assert isinstance(field.annotation, type)
    assert issubclass(field.annotation, sections.Section)
    return field.annotation


def _is_private(section: str, key: str) -> bool:
    field = _fields(section).get(key)
    return field is None or not field.repr


def example() -> str:
    """The text of config.example.toml: every key with its default and why one would change it."""
    lines = [
        "# Every key with its default. Copy what you change to config.toml, or set BOKE__SECTION__KEY in the environment.",
        f"# Secrets come from the environment only: {', '.join(SECRETS.values())}.",
    ]
    for name, field in Config.model_fields.items():
        if name == "secrets":
            continue
        section = _section(field)
        lines += ["", f"# {(section.__doc__ or '').strip()}", f"[{name}]"]
        for key, info in section.model_fields.items():
            lines.append(f"{key} = {_toml(info)}  # {info.description}")
    return "\n".join(lines) + "\n"


def _toml(info: FieldInfo) -> str:
    value = info.default
    if value is None:
        return '""' if "Path" in str(info.annotation) else '"auto"'
    if isinstance(value, Path):
        value = value.as_posix()
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    print(example(), end="")
