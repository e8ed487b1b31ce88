"""Whose turn it is to identify: Discord lets in one shard of a group every five seconds, whichever process holds it."""

from __future__ import annotations

import asyncio
import logging

from bot.boke import BokeService
from store.errors import DatabaseError
from store.locks import acquire_lock, new_holder

log = logging.getLogger(__name__)

LOOK_S = 0.1
LONGEST_S = 50.0  # discord.py gives up on a connection after 60; who comes too early is sent away and comes back


class Turns:
    """Turns of all the processes that share a database: each is a lease that nobody gives back, it runs out."""

    def __init__(self, service: BokeService, pause_s: float) -> None:
        """pause_s: between two shards of a group; 0: nobody waits."""
        self.groups = 1  # what Discord calls max_concurrency; a shard's group is its number modulo that
        self._service, self._pause_s = service, pause_s

    async def wait(self, application_id: int | None, shard_id: int, *, first: bool) -> None:
        """Wait for a shard's turn. first: where the database cannot say, this process has identified nobody yet."""
        if not self._pause_s:
            return
        name = f"identify {application_id} {shard_id % self.groups}"
        try:
            async with asyncio.timeout(LONGEST_S):
                while True:
                    holder = new_holder()  # else the lease of the shard before would count as this one's
                    if await self._service.stored(acquire_lock, self._service.database, name, holder, self._pause_s):
                        return
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            log.warning("Discord: shard %d identifies without a turn", shard_id)
        except DatabaseError as error:
            log.warning("Discord: shard %d identifies without a turn: %s", shard_id, error)
            await asyncio.sleep(0 if first else self._pause_s)
