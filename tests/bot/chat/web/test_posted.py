"""How long posted pictures are remembered, and how many."""

from __future__ import annotations

from bot.chat.web.posted import PostedPictures


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_oldest_go_first() -> None:
    posted = PostedPictures(max_pictures=2)
    for name in "abc":
        posted.put(name, name.encode())
    assert [posted.get(name) for name in "abc"] == [None, b"b", b"c"]


def test_they_take_only_so_much_room() -> None:
    posted = PostedPictures(max_bytes=100)
    posted.put("a", bytes(60))
    posted.put("b", bytes(50))
    assert posted.get("a") is None
    assert posted.size == 50
    posted.put("c", bytes(101))
    assert posted.get("c") is None
    assert posted.size == 0


def test_another_joke_about_the_same_picture_takes_no_room() -> None:
    posted = PostedPictures(max_bytes=100)
    posted.put("a", bytes(60))
    posted.put("b", bytes(bytearray(60)), again_of="a")
    assert posted.size == 60
    assert posted.get("a") == posted.get("b") == bytes(60)
    posted.put("c", b"\1" * 40, again_of="b")
    assert posted.size == 100


def test_they_are_forgotten_after_a_while() -> None:
    clock = Clock()
    posted = PostedPictures(max_age_s=10, clock=clock)
    posted.put("a", b"a")
    clock.now = 10.0
    assert posted.get("a") == b"a"
    clock.now = 10.1
    assert posted.get("a") is None
    assert posted.size == 0
