"""`python -m bot --check`: every part that lacks something is one line that says what to do, and no token is ever shown."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from bot import check
from bot.check import Finding
from store.config import Config
from store.database import open_database
from tests.bot.chat.slack.conftest import manifest
from tests.conftest import PASSWORD
from tests.servers.discord_server import DiscordServer
from tests.servers.slack_server import SlackServer

ROOT = Path(__file__).resolve().parents[2]
LATIN = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"

Make = Callable[..., Config]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISCORD_TOKEN", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "BOKE_ADMIN_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def parts(lines: list[str]) -> dict[str, str]:
    """What is said of each part: "OK", "FAILED" or "off" by its name."""
    return {line.split(":")[0].split(maxsplit=1)[1]: line.split()[0] for line in lines}


# all of it


async def test_everything_is_well(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with DiscordServer() as discord, SlackServer(manifest=manifest()) as slack:
        file = tmp_path / "config.toml"
        file.write_text(
            f"""
            [data]
            dir = "{tmp_path / "data"}"
            [models]
            dir = "{tmp_path / "models"}"
            [model]
            path = "{tiny_model}"
            [web]
            port = 0
            [discord]
            api_base = "{discord.api_base}"
            [slack]
            base_url = "{slack.base_url}"
            """,
            encoding="utf-8",
        )
        monkeypatch.setenv("DISCORD_TOKEN", discord.token)
        monkeypatch.setenv("SLACK_BOT_TOKEN", slack.bot_token)
        monkeypatch.setenv("SLACK_APP_TOKEN", slack.app_token)
        lines: list[str] = []
        assert await check.check_all(file, lines.append) == 0
        names = ["configuration", "data.dir", "models.dir", "database", "model", "fonts", "page", "Discord", "Slack"]
        assert parts(lines) == dict.fromkeys(names, "OK")
        assert "efficientnet-lite0, answers a picture in" in lines[4]
        for token in (discord.token, slack.bot_token, slack.app_token):
            assert not any(token in line for line in lines)

        discord.portal.revoked = True
        slack.scopes.discard("files:read")
        lines.clear()
        assert await check.check_all(file, lines.append) == 1
        assert [name for name, state in parts(lines).items() if state == "FAILED"] == ["Discord", "Slack"]
        assert "the app lacks the scope files:read" in lines[-1]


async def test_a_configuration_that_cannot_be_read_is_a_line_for_each_problem(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[web]\nport = 99999\n[chatt]\n[log]\nlevel = "loud"\n', encoding="utf-8")
    lines: list[str] = []
    assert await check.check_all(file, lines.append) == 1
    assert len(lines) == 3
    assert all(line.startswith(f"FAILED configuration: {file}: ") for line in lines)
    assert await check.check_all(tmp_path / "none.toml", lines.append) == 1


@pytest.mark.parametrize(("web_port", "code"), [("0", 0), ("-1", 1)])
def test_as_a_command(tmp_path: Path, tiny_model: Path, web_port: str, code: int) -> None:
    variables = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "BOKE__MODEL__PATH": str(tiny_model),
        "BOKE__WEB__PORT": web_port,
        "BOKE_ADMIN_TOKEN": "every key has",  # as if it stood in a line
    }
    command = [sys.executable, "-m", "bot", "--check"]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    assert set(parts(done.stdout.splitlines()).values()) == ({"FAILED"} if code else {"OK", "off"})
    assert "every key has" not in done.stdout
    assert ("*** a value that can be used" in done.stdout) is not bool(code)


# each of its parts


def failed(findings: Iterator[Finding] | Finding) -> list[str]:
    several = [findings] if isinstance(findings, Finding) else list(findings)
    return [finding.text for finding in several if finding.state == "failed"]


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"inference": {"mode": "serious"}}, "inference.mode = 'serious': there are boke, mismatch, retrieve, article"),
        ({"filter": {"words_file": "/nowhere/words.txt"}}, "filter.words_file: cannot be read: "),
        ({"web": {"trusted_proxies": ["proxy"]}}, "web.trusted_proxies: 'proxy' should be"),
        ({"chat": {"admin_channel": "123"}}, "chat.admin_channel: should be discord:ID or slack:ID"),
        ({"chat": {"admin_channel": "slack:"}}, "chat.admin_channel: should be discord:ID or slack:ID"),
        ({"chat": {"admin_channel": "discord:123"}}, "chat.admin_channel: is on discord, which has no token"),
        (
            {"slack": {"mode": "http"}, "web": {"enabled": False}, "secrets": {"slack_bot_token": "xoxb-1"}},
            "slack.mode = http needs web.enabled = true",
        ),
    ],
)
def test_values_that_do_not_go_together(make_config: Make, sections: dict[str, Any], said: str) -> None:
    (line,) = failed(check.check_configuration(make_config(**sections)))
    assert line.startswith(said)


def test_folders(make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(data={"dir": tmp_path / "a/b/c"})
    assert failed(check.check_folders(config)) == []
    assert not (tmp_path / "a").exists()  # looking makes nothing
    (tmp_path / "a").write_text("a file")
    assert failed(check.check_folders(config)) == [f"{tmp_path / 'a'} is a file: name another folder"]
    monkeypatch.setattr(check, "LEAST_FREE", 2**80)
    assert all("make room, or set" in line for line in failed(check.check_folders(make_config())))
    (line,) = failed(check._folder("data.dir", Path("/proc/boke")))
    assert line.startswith("/proc cannot be written (")


def test_a_database(make_config: Make, any_database_url: str) -> None:
    finding = check.check_database(make_config(database={"url": any_database_url}))
    assert finding.state == "ok"
    assert PASSWORD not in finding.text
    database = open_database(any_database_url, migrate=False)  # it is migrated
    database.close()


def test_a_database_that_cannot_be_used(make_config: Make, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("shopping list" * 100)
    for url, said in (
        (f"sqlite:///{tmp_path / 'notes.txt'}", "move the file away or restore a backup"),
        (f"postgresql://boke:{PASSWORD}@127.0.0.1:1/boke", "127.0.0.1"),
    ):
        (line,) = failed(check.check_database(make_config(database={"url": url})))
        assert said in line
        assert PASSWORD not in line


async def test_a_model_that_does_not_load(make_config: Make, tmp_path: Path) -> None:
    (tmp_path / "models" / "broken").mkdir(parents=True)
    (tmp_path / "models" / "current").symlink_to("broken")
    (line,) = failed(await check.check_model(make_config()))
    assert line.startswith(f"{tmp_path / 'models' / 'broken'}: no model could be loaded: ")


def test_fonts(make_config: Make, tmp_path: Path) -> None:
    assert check.check_fonts(make_config()).text.startswith("NotoSansCJKjp-Bold.otf")
    (line,) = failed(check.check_fonts(make_config(card={"font": LATIN})))
    assert line.endswith("has no Japanese letters: set card.font to one that has")
    (line,) = failed(check.check_fonts(make_config(card={"font": tmp_path / "none.otf"})))
    assert line.endswith("none.otf: set card.font")


def test_a_port_that_is_taken(make_config: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (line,) = failed(check.check_page(make_config(web={"port": port})))
        assert line.startswith(f"cannot listen on 127.0.0.1 port {port} (")
        assert "is the bot running already?" in line
    assert failed(check.check_page(make_config(web={"port": port}))) == []
    (line,) = failed(check.check_page(make_config(web={"host": "192.0.2.1"})))
    assert line.startswith("cannot listen on 192.0.2.1 port 0")
    assert check.check_page(make_config(web={"enabled": False})).state == "off"


async def test_what_is_not_wanted_is_off(make_config: Make) -> None:
    tokens = {"discord_token": "d", "slack_bot_token": "s"}
    for sections in ({}, {"discord": {"enabled": False}, "slack": {"enabled": False}, "secrets": tokens}):
        config = make_config(**sections)
        assert [(await look(config)).state for look in (check.check_discord, check.check_slack)] == ["off", "off"]


# Discord


@pytest.fixture
def make_discord(make_config: Make) -> Callable[..., Config]:
    def make(server: DiscordServer, **sections: dict[str, Any]) -> Config:
        keys = {"api_base": server.api_base, **sections.pop("discord", {})}
        return make_config(discord=keys, secrets={"discord_token": server.token}, **sections)

    return make


async def test_who_the_bot_is_and_how_to_invite_it(make_discord: Make) -> None:
    async with DiscordServer(bot_name="ぼけ") as server:
        finding = await check.check_discord(make_discord(server))
        assert finding.state == "ok"
        assert finding.text.startswith("ぼけ, in no server yet: invite it with https://discord.com/oauth2/authorize?")
        assert "scope=bot+applications.commands" in finding.text
        portal, payload = server.portal, server.portal.application_payload
        portal.application_payload = lambda bot, owner: payload(bot, owner) | {"approximate_guild_count": 12}  # type: ignore[method-assign]
        assert (await check.check_discord(make_discord(server))).text == "ぼけ, in 12 servers"


async def test_a_token_that_discord_refuses(make_discord: Make) -> None:
    async with DiscordServer() as server:
        server.portal.revoked = True
        (line,) = failed(await check.check_discord(make_discord(server)))
        assert line.startswith("does not accept DISCORD_TOKEN (reset, or mistyped): copy a new one from https://")
        assert server.token not in line


async def test_the_intent_and_the_address_of_interactions(make_discord: Make) -> None:
    async with DiscordServer(privileged=()) as server:
        (line,) = failed(await check.check_discord(make_discord(server)))
        assert line.startswith(
            "posted pictures will not be seen (commands, mentions and direct messages work): switch on"
        )
        without = make_discord(server, discord={"message_content": False})
        assert (await check.check_discord(without)).state == "ok"
        portal, payload = server.portal, server.portal.application_payload
        elsewhere = {"interactions_endpoint_url": "https://example.org/"}
        portal.application_payload = lambda bot, owner: payload(bot, owner) | elsewhere  # type: ignore[method-assign]
        (line,) = failed(await check.check_discord(without))
        assert "empty General Information > Interactions Endpoint URL" in line


async def test_discord_in_trouble(make_config: Make, make_discord: Make) -> None:
    async with DiscordServer() as server:
        config = make_discord(server)
        server.fail_next("GET", "/applications/@me", 500)
        (line,) = failed(await check.check_discord(config))
        assert line == "answers 500 to /api/v10/applications/@me: try again later"
        nowhere = make_config(discord={"api_base": f"http://{server.host}/nowhere"}, secrets={"discord_token": "t"})
        assert len(failed(await check.check_discord(nowhere))) == 1
    (line,) = failed(await check.check_discord(config))
    assert line.startswith(f"cannot be reached at {config.discord.api_base} (")
