"""The slash commands and the entry in the menu of every message."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeAlias

import discord
from discord import app_commands
from discord.app_commands import locale_str

from bot.boke import Ask, BokeRefused
from bot.chat.discord.buttons import answer_view
from bot.chat.discord.locate import Found, place_in
from bot.chat.discord.pictures import Kept
from bot.chat.discord.sending import card_file, excused, joke, promise, source_note, tell
from bot.chat.discord.settings import show_panel
from bot.chat.discord.words import MENU, say
from bot.conversation import Post
from bot.messages import Language
from store.answers import RankedAnswer

if TYPE_CHECKING:
    from bot.chat.discord.client import BokeClient

log = logging.getLogger(__name__)

Used: TypeAlias = "discord.Interaction[BokeClient]"
BEST = 5


def add_commands(tree: app_commands.CommandTree[BokeClient]) -> None:
    """Everything that `tree.sync` will register."""
    commands: list[app_commands.Command[Any, Any, Any]] = [boke, boke_settings, boke_stats, boke_forget, boke_optout]
    for command in commands:
        tree.add_command(command)
    tree.add_command(app_commands.ContextMenu(name=locale_str(MENU["ja"]), callback=boke_this))
    tree.error(_on_error)


@app_commands.command(name="boke", description=locale_str("A one-line joke about a picture"))
@app_commands.describe(
    picture=locale_str("The picture; without one, the last picture in this channel"),
    link=locale_str("A link to a picture"),
    mode=locale_str("How the joke is found"),
    private=locale_str("Only you see the answer"),
)
@app_commands.rename(
    picture=locale_str("picture"), link=locale_str("link"), mode=locale_str("mode"), private=locale_str("private")
)
async def boke(
    interaction: Used,
    picture: discord.Attachment | None = None,
    link: str | None = None,
    mode: str | None = None,
    private: bool = False,
) -> None:
    if not await promise(interaction, private=private):
        return
    async with excused(interaction):
        client, place = interaction.client, place_in(interaction, interaction.user.id)
        if picture is not None:
            found = Found(place, [client.finder.attached(picture)])
        elif link:
            found = Found(place, [client.finder.linked(link.strip().strip("<>|"), spoiler=link.startswith("||"))])
        else:
            found = await client.locator.latest(interaction)
        await _answer(interaction, found, Ask(mode=mode), carry=found.jump is None)


@boke.autocomplete("mode")
async def _modes(interaction: Used, typed: str) -> list[app_commands.Choice[str]]:
    """The modes that the live model has; a fixed list would outlive it."""
    language: Language = "ja" if interaction.locale is discord.Locale.japanese else "en"
    names = {mode: f"{say(f'mode_{mode}', language)}（{mode}）" for mode in await interaction.client.service.modes()}
    wanted = typed.strip().casefold()
    return [app_commands.Choice(name=name, value=mode) for mode, name in names.items() if wanted in name.casefold()]


async def boke_this(interaction: Used, message: discord.Message) -> None:
    """これでボケて: the pictures of any message, which Discord shows to the bot for this purpose."""
    if not await promise(interaction):
        return
    async with excused(interaction):
        found = await interaction.client.locator.behind(message)
        # Later, for もう一回, the bot may not be able to see that message by itself.
        await _answer(interaction, found, Ask(), carry=found.jump is None or not interaction.client.sees(message))


@app_commands.command(name="boke-settings", description=locale_str("How the bot behaves in this channel"))
@app_commands.default_permissions(manage_channels=True)
@app_commands.guild_only()
async def boke_settings(interaction: Used) -> None:
    if not await promise(interaction, private=True):
        return
    async with excused(interaction):
        await show_panel(interaction)


@app_commands.command(name="boke-stats", description=locale_str("Today's best jokes of this channel"))
async def boke_stats(interaction: Used) -> None:
    if not await promise(interaction):
        return
    async with excused(interaction):
        client, place = interaction.client, place_in(interaction)
        language = (await client.conversation.rules(place)).language
        best = await client.conversation.best_today(place, 4 * BEST)
        lines = [_ranked(entry) for entry in best if entry.answer.reply_id][:BEST]  # no private ones
        if not lines:
            raise BokeRefused("best_none")
        listed = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
        await interaction.edit_original_response(content=f"**{say('best_title', language)}**\n{listed}")


@app_commands.command(name="boke-forget", description=locale_str("Erase what the bot has stored about you"))
async def boke_forget(interaction: Used) -> None:
    if not await promise(interaction, private=True):
        return
    async with excused(interaction):
        client, place = interaction.client, place_in(interaction, interaction.user.id)
        language = (await client.conversation.rules(place)).language
        gone = await client.service.forget(place)
        key = "forgotten" if gone.answers or gone.votes else "nothing_to_forget"
        await tell(interaction, say(key, language, answers=gone.answers, votes=gone.votes))


@app_commands.command(name="boke-optout", description=locale_str("Keep the bot away from your pictures"))
@app_commands.describe(undo=locale_str("Come back: your pictures get jokes again"))
@app_commands.rename(undo=locale_str("undo"))
async def boke_optout(interaction: Used, undo: bool = False) -> None:
    if not await promise(interaction, private=True):
        return
    async with excused(interaction):
        client, place = interaction.client, place_in(interaction, interaction.user.id)
        language = (await client.conversation.rules(place)).language
        await client.service.opt_out(place, not undo)
        back = f"{client.slash('boke-optout')} {'取り消す' if language == 'ja' else 'undo'}:True"
        await tell(interaction, say("opted_in" if undo else "opted_out", language, optin=back))


async def _answer(interaction: Used, found: Found, ask: Ask, *, carry: bool) -> None:
    """Answer each picture; the first answer takes the place of "thinking".

    carry: send the picture along, for nobody sees it otherwise, nor finds it again.
    """
    client = interaction.client
    private = bool(interaction.extras.get("private"))
    kept = [Kept(picture) for picture in found.pictures]
    pictures = [one.picture for one in kept]
    post = Post(found.place, pictures, str(interaction.id), asked=True, asked_by=str(interaction.user.id))
    language = (await client.conversation.rules(found.place)).language
    async for said in client.conversation.reply(post, ask):
        if said.answer is None:
            if len(kept) == 1 or said.refusal is None:
                raise said.refusal or BokeRefused("bug")
            await tell(interaction, said.text(language))
            continue
        notes = [say("nth_picture", language, number=said.position + 1)] if len(kept) > 1 else []
        notes += [f"{say('subject', language)} {found.jump}"] if found.jump and not carry else []
        content = joke(said.answer.text, " ".join(notes + source_note(said.answer, language)))
        files = []
        if carry and len(kept[said.position].data) <= interaction.filesize_limit:
            files.append(kept[said.position].file())
        if said.card is not None:
            files.append(card_file(said.card, spoiler=said.spoiler))
        view = answer_view(said.answer.id, language, card=said.card is None)
        if not interaction.extras.get("answered"):
            interaction.extras["answered"] = True
            message: discord.Message = await interaction.edit_original_response(
                content=content, attachments=files, view=view
            )
        else:
            message = await interaction.followup.send(
                content, files=files, view=view or discord.utils.MISSING, ephemeral=private, wait=True
            )
        if not private:
            await client.conversation.sent(said.answer, str(message.id))


def _ranked(entry: RankedAnswer) -> str:
    answer = entry.answer
    jump = f"https://discord.com/channels/{answer.guild_id or '@me'}/{answer.channel_id}/{answer.reply_id}"
    return f"{joke(answer.text)}　👍 {entry.up}　{jump}"


async def _on_error(interaction: Used, error: app_commands.AppCommandError) -> None:
    """What never came as far as a command's own words, such as a command that an older version registered."""
    log.error("a command failed: %s", error, exc_info=error.__cause__)
    async with excused(interaction):
        raise BokeRefused("bug")
