"""Which keys of the configuration a running bot takes over when it is told to read its configuration again."""

from __future__ import annotations

from store.config import Config

# Of these sections everything is read each time it is needed, but for the keys named.
TAKEN = {
    "chat": {"answer_links", "admin_channel"},
    "filter": set[str](),
    "card": set[str](),
    "privacy": set[str](),
    "log": set[str](),
    "inference": {"queue_size", "batch_size", "batch_wait_ms", "timeout_s", "reload_check_s"},
    "model": {"backend"},
    "crawl": set[str](),  # the training run reads it
    "retrain": {"enabled", "cron", "timezone"},
    "web": {"enabled", "host", "port", "public_url", "trusted_proxies", "metrics", "language"},
}


def takes(section: str, key: str) -> bool:
    """Is this key taken over without a restart?"""
    return section in TAKEN and key not in TAKEN[section]


def take_over(config: Config, fresh: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Change a configuration that is in use to another one, as far as that can be done.

    Returns:
        The keys that were changed, and those whose new value needs a restart.
    """
    changed, left = [], []
    for section in Config.model_fields:
        old, new = getattr(config, section), getattr(fresh, section)
        different = [key for key in type(old).model_fields if getattr(old, key) != getattr(new, key)]
        taken = {key: getattr(new, key) for key in different if takes(section, key)}
        changed += [f"{section}.{key}" for key in taken]
        left += [f"{section}.{key}" for key in different if key not in taken]
        if taken:
            # Everybody holds the one Config and asks it each time; a section itself never changes under a reader.
            object.__setattr__(config, section, old.model_copy(update=taken))
    return tuple(changed), tuple(left)
