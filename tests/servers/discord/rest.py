"""Discord's REST under /api/v10: routes, authorization, and what the bot may and may not do."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from .bodies import check_body, edit_from_body
from .cdn import make_upload
from .faults import json_response
from .interactions import DEFER, DEFER_UPDATE, Desk
from .model import Channel, Guild, Message, Upload, User
from .payloads import channel_payload, guild_payload, member_payload, message_payload, role_payload, user_payload
from .portal import Portal
from .protocol import ApiError, ChannelKind, Json, MessageFlag, Permission, missing_access, missing_permissions, unknown
from .world import World

PREFIX = "/api/v10"
# These are called with a token in the path and no authorization.
OPEN = re.compile(r"^/api/v10/(interactions|webhooks)/|^/(cdn|media|files)/|^/gateway$")

NO_CONTENT = 204


class Rest:
    """The routes; one method each, named by what it does."""

    def __init__(self, world: World, portal: Portal, desk: Desk) -> None:
        self.world = world
        self.portal = portal
        self.desk = desk
        self.unknown_routes: list[str] = []
        self.crashes: list[BaseException] = []

    def routes(self) -> list[web.RouteDef]:
        message = "/channels/{channel}/messages/{message}"
        reactions = message + "/reactions/{emoji}"
        original = "/webhooks/{application}/{token}/messages/{message}"
        table: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
            ("GET", "/gateway/bot", self.gateway),
            ("GET", "/users/@me", self.me),
            ("GET", "/users/@me/guilds", self.my_guilds),
            ("DELETE", "/users/@me/guilds/{guild}", self.leave_guild),
            ("POST", "/users/@me/channels", self.open_dm),
            ("GET", "/users/{user}", self.user),
            ("GET", "/oauth2/applications/@me", self.application),
            ("GET", "/applications/@me", self.application),
            ("GET", "/applications/{application}/commands", self.list_commands),
            ("PUT", "/applications/{application}/commands", self.put_commands),
            ("GET", "/applications/{application}/guilds/{guild}/commands", self.list_commands),
            ("PUT", "/applications/{application}/guilds/{guild}/commands", self.put_commands),
            ("GET", "/channels/{channel}", self.channel),
            ("POST", "/channels/{channel}/typing", self.typing),
            ("GET", "/channels/{channel}/messages", self.list_messages),
            ("POST", "/channels/{channel}/messages", self.post_message),
            ("POST", "/channels/{channel}/messages/bulk-delete", self.bulk_delete),
            ("GET", message, self.get_message),
            ("PATCH", message, self.edit_message),
            ("DELETE", message, self.delete_message),
            ("GET", reactions, self.who_reacted),
            ("PUT", reactions + "/@me", self.react),
            ("DELETE", reactions + "/@me", self.unreact),
            ("DELETE", reactions + "/{user}", self.unreact),
            ("GET", "/guilds/{guild}", self.guild),
            ("GET", "/guilds/{guild}/channels", self.guild_channels),
            ("GET", "/guilds/{guild}/roles", self.guild_roles),
            ("GET", "/guilds/{guild}/members", self.guild_members),
            ("GET", "/guilds/{guild}/members/{user}", self.guild_member),
            ("POST", "/interactions/{interaction}/{token}/callback", self.callback),
            ("POST", "/webhooks/{application}/{token}", self.follow_up),
            ("GET", original, self.get_answer),
            ("PATCH", original, self.edit_answer),
            ("DELETE", original, self.delete_answer),
        ]
        return [web.route(method, PREFIX + path, handler) for method, path, handler in table]

    @web.middleware
    async def errors(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Authorization before, and Discord's error bodies after, every route. Our own mistakes are kept for the end."""
        try:
            if not OPEN.match(request.path):
                self._authorize(request)
            return await handler(request)
        except ApiError as error:
            await request.read()  # an answer before the upload ends would look like a broken connection
            return json_response(error.body(), error.status)
        except web.HTTPNotFound:
            self.unknown_routes.append(f"{request.method} {request.path}")
            return json_response({"message": "404: Not Found", "code": 0}, 404)
        except web.HTTPMethodNotAllowed:
            self.unknown_routes.append(f"{request.method} {request.path}")
            return json_response({"message": "405: Method Not Allowed", "code": 0}, 405)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception as error:
            self.crashes.append(error)
            return json_response({"message": f"the local server failed: {error!r}", "code": 0}, 500)

    def _authorize(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bot" or not self.portal.token_is_good(token):
            raise ApiError(401, 0, "401: Unauthorized")

    # who and where

    async def gateway(self, request: web.Request) -> web.Response:
        limit = {"total": 1000, "remaining": 999, "reset_after": 14_400_000}
        limit |= {"max_concurrency": self.portal.max_concurrency}
        return json_response(
            {"url": self.portal.gateway_url, "shards": self.portal.shards, "session_start_limit": limit}
        )

    async def me(self, request: web.Request) -> web.Response:
        return json_response(user_payload(self.world.bot) | {"verified": True, "mfa_enabled": True, "flags": 0})

    async def my_guilds(self, request: web.Request) -> web.Response:
        mine = [guild for guild in self.world.guilds.values() if self.world.bot.id in guild.members]
        return json_response([{"id": str(guild.id), "name": guild.name, "owner": False} for guild in mine])

    async def leave_guild(self, request: web.Request) -> web.Response:
        self.world.leave(self._guild(request))
        return web.Response(status=NO_CONTENT)

    async def user(self, request: web.Request) -> web.Response:
        return json_response(user_payload(self._user(request.match_info["user"])))

    async def open_dm(self, request: web.Request) -> web.Response:
        body = await request.json()
        return json_response(channel_payload(self.world.dm(self._user(body["recipient_id"]))))

    async def application(self, request: web.Request) -> web.Response:
        return json_response(self.portal.application_payload(self.world.bot, self.world.owner))

    async def guild(self, request: web.Request) -> web.Response:
        return json_response(guild_payload(self._guild(request), self.world.bot))

    async def guild_channels(self, request: web.Request) -> web.Response:
        return json_response([channel_payload(channel) for channel in self._guild(request).channels.values()])

    async def guild_roles(self, request: web.Request) -> web.Response:
        return json_response([role_payload(role) for role in self._guild(request).roles.values()])

    async def guild_members(self, request: web.Request) -> web.Response:
        if "members" not in self.portal.privileged:
            raise missing_access()
        return json_response([member_payload(member) for member in self._guild(request).members.values()])

    async def guild_member(self, request: web.Request) -> web.Response:
        member = self._guild(request).members.get(int(request.match_info["user"]))
        if member is None:
            raise unknown("Member")
        return json_response(member_payload(member))

    async def channel(self, request: web.Request) -> web.Response:
        return json_response(channel_payload(self._channel(request)))

    # commands

    async def list_commands(self, request: web.Request) -> web.Response:
        return json_response(self.portal.commands.get(self._command_place(request), []))

    async def put_commands(self, request: web.Request) -> web.Response:
        place, body = self._command_place(request), await request.json()
        registered = self.portal.register(body, place, self.world.bot, self.world.ids)
        self.world.watch.changed()
        return json_response(registered)

    def _command_place(self, request: web.Request) -> int | None:
        if request.match_info["application"] != str(self.world.bot.id):
            raise ApiError(403, 20012, "You are not authorized to perform this action on this application")
        return self._guild(request).id if "guild" in request.match_info else None

    # messages

    async def typing(self, request: web.Request) -> web.Response:
        channel = self._channel(request, Permission.SEND_MESSAGES)
        channel.typings += 1
        self.world.watch.changed()
        return web.Response(status=NO_CONTENT)

    async def list_messages(self, request: web.Request) -> web.Response:
        """Newest first, from before, after or around an id; without the permission to read history, none."""
        channel, query = self._channel(request), request.query
        found = list(channel.messages.values())
        if not self.world.permissions(self.world.bot, channel) & Permission.READ_MESSAGE_HISTORY:
            found = []
        limit = min(int(query.get("limit", 50)), 100)
        if "after" in query:
            found = [m for m in found if m.id > int(query["after"])][:limit]
        elif "around" in query:
            middle = int(query["around"])
            older = [m for m in found if m.id < middle][-(limit // 2) :]
            found = [*older, *[m for m in found if m.id >= middle][: limit - len(older)]]
        else:
            found = [m for m in found if m.id < int(query.get("before", 1 << 63))][-limit:]
        return json_response([self._shown(message) for message in reversed(found)])

    async def get_message(self, request: web.Request) -> web.Response:
        return json_response(self._shown(self._message(request)))

    async def post_message(self, request: web.Request) -> web.Response:
        body, uploads = await read_body(request)
        wanted = Permission.SEND_MESSAGES | (Permission.ATTACH_FILES if uploads else Permission.NONE)
        channel = self._channel(request, wanted)
        check_body(body, uploads)
        nonce = body.get("nonce")
        if nonce is not None and body.get("enforce_nonce"):
            for old in channel.messages.values():
                if old.author is self.world.bot and old.nonce == nonce:
                    return json_response(self._shown(old))
        message = self.world.add_message(
            channel,
            self.world.bot,
            body.get("content") or "",
            uploads=uploads,
            embeds=body.get("embeds") or (),
            components=body.get("components") or (),
            reply_to=self._reply_target(channel, body.get("message_reference")),
            allowed_mentions=body.get("allowed_mentions"),
            flags=MessageFlag(body.get("flags") or 0),
            nonce=nonce,
        )
        return json_response(self._shown(message))

    def _reply_target(self, channel: Channel, reference: Json | None) -> Message | None:
        """The message replied to. A lost one is an error unless the bot said that it does not mind."""
        if reference is None:
            return None
        target = channel.messages.get(int(reference["message_id"]))
        if target is None and reference.get("fail_if_not_exists", True):
            detail = {"_errors": [{"code": "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "message": "Unknown message"}]}
            raise ApiError(400, 50035, "Invalid Form Body", {"message_reference": detail})
        return target

    async def edit_message(self, request: web.Request) -> web.Response:
        body, uploads = await read_body(request)
        message = self._message(request)
        if message.author is not self.world.bot:
            raise ApiError(403, 50005, "Cannot edit a message authored by another user")
        edit_from_body(self.world, message, body, uploads)
        return json_response(self._shown(message))

    async def delete_message(self, request: web.Request) -> web.Response:
        message = self._message(request)
        if message.author is not self.world.bot:
            self._channel(request, Permission.MANAGE_MESSAGES)
        self.world.delete_message(message)
        return web.Response(status=NO_CONTENT)

    async def bulk_delete(self, request: web.Request) -> web.Response:
        channel = self._channel(request, Permission.MANAGE_MESSAGES)
        numbers = [int(number) for number in (await request.json())["messages"]]
        self.world.delete_messages([channel.messages[number] for number in numbers if number in channel.messages])
        return web.Response(status=NO_CONTENT)

    # reactions

    async def who_reacted(self, request: web.Request) -> web.Response:
        users = self._message(request).reactions.get(unquote(request.match_info["emoji"]), [])
        return json_response([user_payload(user) for user in users])

    async def react(self, request: web.Request) -> web.Response:
        self._channel(request, Permission.READ_MESSAGE_HISTORY | Permission.ADD_REACTIONS)
        self.world.react(self._message(request), unquote(request.match_info["emoji"]), self.world.bot)
        return web.Response(status=NO_CONTENT)

    async def unreact(self, request: web.Request) -> web.Response:
        user = self._user(request.match_info["user"]) if "user" in request.match_info else self.world.bot
        if user is not self.world.bot:
            self._channel(request, Permission.MANAGE_MESSAGES)
        self.world.unreact(self._message(request), unquote(request.match_info["emoji"]), user)
        return web.Response(status=NO_CONTENT)

    # interactions

    async def callback(self, request: web.Request) -> web.Response:
        body, uploads = await read_body(request)
        match = request.match_info
        interaction = self.desk.take_callback(int(match["interaction"]), match["token"], body, uploads)
        if request.query.get("with_response") not in ("1", "true"):
            return web.Response(status=NO_CONTENT)
        described: Json = {"id": str(interaction.id), "type": interaction.kind}
        resource: Json = {"type": interaction.callback}
        if interaction.original is not None:
            described |= {
                "response_message_id": str(interaction.original.id),
                "response_message_loading": interaction.callback == DEFER,
                "response_message_ephemeral": interaction.original.ephemeral,
            }
            if interaction.callback not in (DEFER, DEFER_UPDATE):
                resource["message"] = self._shown(interaction.original)
        return json_response({"interaction": described, "resource": resource})

    async def follow_up(self, request: web.Request) -> web.Response:
        body, uploads = await read_body(request)
        interaction = self.desk.of_token(request.match_info["token"])
        return json_response(self._shown(self.desk.follow_up(interaction, body, uploads)))

    async def get_answer(self, request: web.Request) -> web.Response:
        return json_response(self._shown(self._answer(request)))

    async def edit_answer(self, request: web.Request) -> web.Response:
        body, uploads = await read_body(request)
        message = self._answer(request)
        edit_from_body(self.world, message, body, uploads)
        return json_response(self._shown(message))

    async def delete_answer(self, request: web.Request) -> web.Response:
        self.world.delete_message(self._answer(request))
        return web.Response(status=NO_CONTENT)

    def _answer(self, request: web.Request) -> Message:
        return self.desk.find(self.desk.of_token(request.match_info["token"]), request.match_info["message"])

    # what a path names

    def _shown(self, message: Message) -> Json:
        intent = "message_content" in self.portal.privileged
        content = self.world.content_visible(message, intent)
        referenced = intent or (content and self.world.referenced_content)
        return message_payload(message, self.world.bot, content=content, referenced_content=referenced)

    def _guild(self, request: web.Request) -> Guild:
        guild = self.world.guilds.get(int(request.match_info["guild"]))
        if guild is None:
            raise unknown("Guild")
        if self.world.bot.id not in guild.members:
            raise missing_access()
        return guild

    def _user(self, number: str) -> User:
        user = self.world.users.get(int(number))
        if user is None:
            raise unknown("User")
        return user

    def _channel(self, request: web.Request, wanted: Permission = Permission.NONE) -> Channel:
        """The channel, if the bot sees it and has the permissions `wanted` there."""
        channel = self.world.channels.get(int(request.match_info["channel"]))
        if channel is None:
            raise unknown("Channel")
        granted = self.world.permissions(self.world.bot, channel)
        if not granted & Permission.VIEW_CHANNEL:
            raise missing_access()
        if channel.kind == ChannelKind.THREAD and wanted & Permission.SEND_MESSAGES:
            wanted = wanted & ~Permission.SEND_MESSAGES | Permission.SEND_MESSAGES_IN_THREADS
        if granted & wanted != wanted:
            raise missing_permissions()
        return channel

    def _message(self, request: web.Request) -> Message:
        message = self._channel(request).messages.get(int(request.match_info["message"]))
        if message is None:
            raise unknown("Message")
        return message


async def read_body(request: web.Request) -> tuple[Json, list[Upload]]:
    """JSON, or multipart with `payload_json` and `files[n]`, whose names and descriptions are in `attachments`."""
    if not request.content_type.startswith("multipart/"):
        return cast(Json, await request.json()), []
    body: Json = {}
    files: dict[str, tuple[str, bytes]] = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        if part.name == "payload_json":
            body = json.loads(await part.text())
        elif match := re.fullmatch(r"files\[(\d+)\]", part.name or ""):
            files[match[1]] = (part.filename or "file", bytes(await part.read()))
        else:
            raise ApiError(400, 50035, f"Invalid Form Body: {part.name}")
    message: Json = body.get("data", body) if "type" in body else body
    described: dict[str, Any] = {str(entry["id"]): entry for entry in message.get("attachments") or []}
    uploads = []
    for number, (filename, data) in files.items():
        entry = described.get(number, {})
        uploads.append(make_upload(entry.get("filename") or filename, data, description=entry.get("description")))
    return body, uploads
