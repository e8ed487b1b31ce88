"""robots.txt of one host: what may be fetched, and how slowly (protego)."""

from __future__ import annotations

from dataclasses import dataclass

from protego import Protego

MAX_BYTES = 500 * 1024  # what RFC 9309 asks a crawler to read at least


@dataclass(frozen=True)
class Robots:
    """The rules for this program.

    Attributes:
        delay_s: seconds between two requests that the host asks for; 0 where it asks for none.
    """

    rules: Protego
    agent: str
    delay_s: float

    def allows(self, url: str) -> bool:
        """May this address be fetched?"""
        return bool(self.rules.can_fetch(url, self.agent))


def read_robots(text: str, user_agent: str) -> Robots:
    """The rules in a robots.txt for a program of that name ("bokebot/0.1": the part before the slash counts)."""
    agent = user_agent.split("/")[0].strip()
    rules = Protego.parse(text)
    rate = rules.request_rate(agent)
    delays = [rules.crawl_delay(agent) or 0.0, rate.seconds / rate.requests if rate and rate.requests else 0.0]
    return Robots(rules, agent, max(delays))
