"""The developer portal's side: the bot's token, its privileged intents, its shards, its registered commands."""

from __future__ import annotations

from dataclasses import dataclass, field

from .model import Guild, User
from .payloads import user_payload
from .protocol import PORTAL_FLAGS, Json, Snowflakes, invalid_form

CHAT_INPUT, USER_COMMAND, MESSAGE_COMMAND = 1, 2, 3


@dataclass
class Portal:
    """What the bot's owner set up, and what the bot registered."""

    token: str
    shards: int
    privileged: set[str]
    heartbeat_interval_s: float
    interaction_deadline_s: float
    max_concurrency: int = 1
    identify_window_s: float = 0.0
    gateway_url: str = ""
    revoked: bool = False
    commands: dict[int | None, list[Json]] = field(default_factory=dict)

    def token_is_good(self, token: str) -> bool:
        return token == self.token and not self.revoked

    @property
    def flags(self) -> int:
        """The application's flags: which privileged intents are switched on."""
        return sum(PORTAL_FLAGS[name] for name in self.privileged)

    def application_payload(self, bot: User, owner: User) -> Json:
        return {
            "id": str(bot.id),
            "name": bot.name,
            "icon": None,
            "description": "",
            "rpc_origins": [],
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": user_payload(owner),
            "bot": user_payload(bot),
            "verify_key": "0" * 64,
            "team": None,
            "flags": self.flags,
            "tags": [],
            "integration_types_config": {"0": {}},
            "approximate_guild_count": 0,
        }

    def register(self, commands: list[Json], guild_id: int | None, bot: User, ids: Snowflakes) -> list[Json]:
        """Replace the registered commands of a guild, or the global ones (None). Ids of kept names stay."""
        known = {(old["type"], old["name"]): old["id"] for old in self.commands.get(guild_id, [])}
        registered: list[Json] = []
        for index, command in enumerate(commands):
            kind = command.get("type", CHAT_INPUT)
            _check_command(f"{index}", command, kind)
            key = (kind, command["name"])
            full: Json = {"default_member_permissions": None, "dm_permission": True, "nsfw": False, "description": ""}
            full |= command
            full |= {"id": known.get(key) or str(ids.next()), "application_id": str(bot.id), "type": kind}
            full["version"] = full["id"]
            if guild_id is not None:
                full["guild_id"] = str(guild_id)
            registered.append(full)
        self.commands[guild_id] = registered
        return registered

    def find_command(self, name: str, kind: int, guild: Guild | None) -> Json:
        """The command that a user sees under this name. AssertionError where the bot registered none."""
        visible = self.commands.get(guild.id, []) if guild else []
        for command in [*visible, *self.commands.get(None, [])]:
            if (command["name"], command["type"]) == (name, kind):
                return command
        names = {place: [command["name"] for command in found] for place, found in self.commands.items()}
        raise AssertionError(f"no command {name!r} of type {kind} is registered; there are {names}")


def _check_command(where: str, command: Json, kind: int) -> None:
    name = command.get("name", "")
    if not 1 <= len(name) <= 32:
        raise invalid_form(f"{where}.name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 32 in length.")
    if kind != CHAT_INPUT:
        return
    _check_name_and_description(where, command)
    options = command.get("options", [])
    if len(options) > 25:
        raise invalid_form(f"{where}.options", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    optional_seen = False
    for index, option in enumerate(options):
        _check_name_and_description(f"{where}.options.{index}", option)
        if option.get("required") and optional_seen:
            raise invalid_form(
                f"{where}.options.{index}",
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            )
        optional_seen = optional_seen or not option.get("required", False)
        if len(option.get("choices", [])) > 25:
            raise invalid_form(
                f"{where}.options.{index}.choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length."
            )


def _check_name_and_description(where: str, thing: Json) -> None:
    name = thing.get("name", "")
    if not all(letter.isalnum() or letter in "-_'" for letter in name) or name != name.lower() or not name:
        raise invalid_form(f"{where}.name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    if not 1 <= len(thing.get("description", "")) <= 100:
        raise invalid_form(f"{where}.description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
