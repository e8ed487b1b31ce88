"""The real discord.py on a local Discord where things go wrong: gateway, REST and CDN, each fault caused on purpose."""

from __future__ import annotations

import asyncio
import logging

import aiohttp
import discord
import pytest

from tests.servers.discord.sample_bot import CAT, connected
from tests.servers.discord_server import DiscordServer, InteractionFailed, Limit, cdn


async def test_a_bot_that_does_not_acknowledge_fails_the_interaction() -> None:
    async with DiscordServer(interaction_deadline_s=0.3) as server:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部", members=[taro]).add_channel("しゃしん")
        async with connected(server):
            await server.post(channel, taro, attachments=[server.upload("cat.png", CAT)])
            answer = await server.wait_for_message(channel)
            with pytest.raises(InteractionFailed, match="sleep"):
                await server.click(answer, "sleep", taro)


async def test_the_portal_refuses_intents_and_tokens() -> None:
    async with DiscordServer(privileged=[]) as server:
        with pytest.raises(discord.PrivilegedIntentsRequired):
            async with connected(server):
                pass
        server.portal.revoked = True
        with pytest.raises(discord.LoginFailure):
            async with connected(server):
                pass


async def test_a_dropped_gateway_resumes_without_loss_or_repetition() -> None:
    async with DiscordServer() as server:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部").add_channel("しゃしん")
        async with connected(server) as bot:
            await server.post(channel, taro, "1")
            await server.sync()
            await server.drop_gateway(hold=True)
            for text in "234":
                await server.post(channel, taro, text)
            server.restore_gateway()
            await server.until(lambda: server.gateway.resumes == 1)
            await server.sync()
            await server.drop_gateway(code=4000)
            await server.until(lambda: server.gateway.resumes == 2)
            server.ask_to_reconnect()
            await server.until(lambda: server.gateway.resumes == 3)
            await server.post(channel, taro, "5")
            await server.sync()
            assert [m.content for m in bot.messages] == ["1", "2", "3", "4", "5"]
            assert server.gateway.identifies == 1


async def test_an_invalid_session_is_begun_anew_and_loses_what_was_missed() -> None:
    async with DiscordServer() as server:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部").add_channel("しゃしん")
        async with connected(server) as bot:
            server.invalidate_sessions()
            await server.post(channel, taro, "lost")
            await server.until(lambda: server.gateway.identifies == 2)
            await server.ready()
            await server.post(channel, taro, "found")
            await server.sync()
            assert [m.content for m in bot.messages] == ["found"]


async def test_a_gateway_that_falls_silent_is_left() -> None:
    async with DiscordServer(heartbeat_interval_s=0.1) as server:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部").add_channel("しゃしん")
        async with connected(server, heartbeat_timeout=0.5) as bot:
            server.freeze_gateway()
            before = server.gateway.resumes
            await server.post(channel, taro, "unheard")
            await server.until(lambda: server.gateway.resumes > before)
            await server.sync()
            assert [m.content for m in bot.messages] == ["unheard"]


async def test_events_go_to_the_shard_of_their_guild() -> None:
    async with DiscordServer(shards=2) as server:
        taro = server.add_user("たろう")
        channels = [server.add_guild(f"guild {shard}", shard=shard).add_channel("c") for shard in (0, 1)]
        async with connected(server) as bot:
            await server.drop_gateway(shard=1, hold=True)
            for channel in channels:
                await server.post(channel, taro, "hello")
            await server.sync()
            assert [m.guild and m.guild.shard_id for m in bot.messages] == [0]
            server.restore_gateway()
            await server.until(lambda: server.gateway.resumes == 1)
            await server.sync()
            assert [(m.guild.name, m.guild.shard_id) for m in bot.messages if m.guild] == [
                ("guild 0", 0),
                ("guild 1", 1),
            ]


async def test_rate_limits_and_errors_are_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    async with DiscordServer() as server:
        server.rate_limit("POST", r"/messages$", Limit(2, 0.3))
        server.rate_limit("POST", r"/typing$", Limit(1, 60))
        channel = server.add_guild("ねこ部").add_channel("しゃしん")
        async with connected(server) as bot:
            place = bot.place(channel)
            # a 500 is tried again after one second, two seconds later each time: so it comes first
            server.fail_next("POST", r"/messages$", 500)
            server.limit_next("POST", r"/messages$", 0.05)
            server.limit_next("POST", r"/messages$", 0.05, is_global=True)
            with caplog.at_level(logging.WARNING, "discord.http"):
                await place.send("one")
            assert [r.status for r in server.requests_to("POST", r"/messages$")] == [500, 429, 429, 200]
            assert "Global rate limit has been hit" in caplog.text
            await asyncio.gather(*[place.send(str(n)) for n in range(4)])
            assert len(server.said(channel)) == 5
            # it reads the headers and waits by itself
            assert server.too_many == 0
            server.fail_next("POST", r"/messages$", 500, after=True)
            await place.send("twice, unless a nonce says that it is the same", nonce="7")
            assert len(server.said(channel)) == 6
            server.fail_next("POST", r"/messages$", 403, body={"message": "Missing Permissions", "code": 50013})
            with pytest.raises(discord.Forbidden, match="50013"):
                await place.send("no")
            server.drop_next("POST", r"/messages$")
            with pytest.raises(aiohttp.ClientError):
                await place.send("cut")
            async with aiohttp.ClientSession(headers={"Authorization": f"Bot {server.token}"}) as session:
                url = f"{server.api_base}/channels/{channel.id}/typing"
                async with session.post(url) as response:
                    assert (response.status, response.headers["X-RateLimit-Remaining"]) == (204, "0")
                async with session.post(url) as response:
                    assert (response.status, response.headers["Content-Type"]) == (429, "application/json")
                    assert 0 < (await response.json())["retry_after"] <= 60
            assert server.too_many == 1


async def test_a_held_request_waits_for_the_test() -> None:
    async with DiscordServer() as server:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部").add_channel("しゃしん")
        async with connected(server):
            hold = server.hold_next("POST", r"/messages$")
            picture = await server.post(channel, taro, attachments=[server.upload("cat.png", CAT)])
            await hold.reached()
            assert server.said(channel) == []
            await server.delete(picture)
            hold.release()
            await server.wait_for_request("POST", r"/messages$")
            # a reply to a message that is gone is refused
            assert server.requests_to("POST", r"/messages$")[0].status == 400


async def test_a_message_can_come_twice_and_a_guild_can_be_away() -> None:
    async with DiscordServer() as server:
        taro = server.add_user("たろう")
        guild = server.add_guild("ねこ部")
        channel = guild.add_channel("しゃしん")
        async with connected(server) as bot:
            await bot.wait_until_ready()
            await server.redeliver(await server.post(channel, taro, "hello"))
            await server.sync()
            assert len(bot.messages) == 2
            assert bot.messages[0].id == bot.messages[1].id
            server.guild_outage(guild)
            server.guild_back(guild)
            await server.sync()
            assert bot.events == []  # no invitation
            assert bot.place(channel).guild.unavailable is False


async def test_a_revoked_token_ends_the_bot() -> None:
    async with DiscordServer() as server:
        channel = server.add_guild("ねこ部").add_channel("しゃしん")

        async def until_the_end() -> None:
            async with connected(server) as bot:
                server.portal.revoked = True
                with pytest.raises(discord.HTTPException, match="401"):
                    await bot.place(channel).send("hello")
                await server.revoke_token()
                await asyncio.wait([bot.running])

        with pytest.raises(discord.ConnectionClosed) as closed:
            await until_the_end()
        assert closed.value.code == 4004


async def test_the_cdn_serves_as_badly_as_it_is_told() -> None:
    async with DiscordServer() as server, aiohttp.ClientSession() as session:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部").add_channel("しゃしん")

        async def url_of(name: str, serving: cdn.Serving | None, data: bytes = CAT) -> str:
            message = await server.post(channel, taro, attachments=[server.upload(name, data, serving=serving)])
            return message.attachments[0].url

        async with session.get(await url_of("good.png", None)) as response:
            assert (await response.read(), response.content_type) == (CAT, "image/png")
        async with session.get((await url_of("good.png", None)).split("?")[0]) as response:
            assert response.status == 404
        async with session.get(await url_of("page.png", cdn.as_type("text/html"))) as response:
            assert response.content_type == "text/html"
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get(await url_of("cut.png", cdn.cut_off(10))) as response:
                await response.read()
        async with session.get(await url_of("slow.png", cdn.slow(50, 0.001))) as response:
            assert await response.read() == CAT
        async with session.get(await url_of("bomb.png", cdn.gzip_bomb(3))) as response:
            assert response.content_length is not None
            assert response.content_length < 10_000
            assert len(await response.read()) == 3 * 1024 * 1024
        async with session.get(await url_of("endless.png", cdn.endless())) as response:
            assert len(await response.content.readexactly(1_000_000)) == 1_000_000
        await server.wait_for_request("GET", "endless.png")
        assert server.cdn.sent["endless.png"] >= 1_000_000 - 64 * 1024
        for silent in (cdn.hanging(), cdn.stalled(10)):
            with pytest.raises(TimeoutError):
                async with session.get(
                    await url_of("silent.png", silent), timeout=aiohttp.ClientTimeout(total=0.2)
                ) as response:
                    await response.read()
