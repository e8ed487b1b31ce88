"""Channel settings change one by one; an opt-out holds until it is undone."""

from __future__ import annotations

import pytest

from store.database import Database
from store.settings import ChannelChoice, chosen_channels, get_channel, is_opted_out, opt_in, opt_out, set_channel


def test_an_untouched_channel_has_no_settings(any_database: Database) -> None:
    assert get_channel(any_database, "slack", "C1") == ChannelChoice(platform="slack", channel_id="C1")


def test_settings_are_changed_one_by_one(any_database: Database) -> None:
    set_channel(any_database, "slack", "C1", guild_id="T1", enabled=True, cooldown_s=2.5)
    after = set_channel(any_database, "slack", "C1", probability=0.5, quiet_from="23:00", quiet_to="07:00")
    assert after == ChannelChoice(
        platform="slack", channel_id="C1", guild_id="T1", enabled=True, cooldown_s=2.5, probability=0.5,
        quiet_from="23:00", quiet_to="07:00",
    )  # fmt: skip
    assert get_channel(any_database, "slack", "C1") == after
    assert set_channel(any_database, "slack", "C1", enabled=False, cooldown_s=None).enabled is False
    assert get_channel(any_database, "slack", "C1").cooldown_s is None
    assert get_channel(any_database, "discord", "C1").enabled is None


def test_a_setting_that_there_is_not(any_database: Database) -> None:
    with pytest.raises(TypeError, match="colour"):
        set_channel(any_database, "slack", "C1", colour="red")
    with pytest.raises(TypeError):
        set_channel(any_database, "slack", "C1", changed=None)


def test_all_channels_of_a_platform(any_database: Database) -> None:
    for platform, channel in (("slack", "C2"), ("slack", "C1"), ("discord", "1")):
        set_channel(any_database, platform, channel, enabled=True)
    assert [c.channel_id for c in chosen_channels(any_database, "slack")] == ["C1", "C2"]


def test_opting_out_and_in(any_database: Database) -> None:
    opt_out(any_database, "slack", "u")
    opt_out(any_database, "slack", "u")
    assert is_opted_out(any_database, "slack", "u")
    assert not is_opted_out(any_database, "discord", "u")
    assert not is_opted_out(any_database, "slack", "v")
    opt_in(any_database, "slack", "u")
    opt_in(any_database, "slack", "u")
    assert not is_opted_out(any_database, "slack", "u")
