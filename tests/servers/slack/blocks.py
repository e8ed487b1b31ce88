"""Slack's limits on blocks and views, as far as a bot can run into them."""

from __future__ import annotations

from typing import Any

BLOCK_TYPES = {"section", "actions", "context", "divider", "header", "image", "input", "rich_text", "file", "markdown"}
MAX_BLOCKS, MAX_VIEW_BLOCKS = 50, 100
MAX_SECTION, MAX_HEADER, MAX_BUTTON = 3000, 150, 75
MAX_ACTION_ID, MAX_VALUE, MAX_BLOCK_ID = 255, 2000, 255
MAX_ALT, MAX_URL, MAX_TITLE = 2000, 3000, 24


def problems(blocks: Any, *, limit: int = MAX_BLOCKS) -> list[str]:
    """What Slack would not take, each with its JSON pointer, as in `response_metadata.messages`; empty when fine."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        return ["[ERROR] must be an array of objects [json-pointer:/blocks]"]
    found = [f"no more than {limit} items allowed [json-pointer:/blocks]"] if len(blocks) > limit else []
    ids = [block["block_id"] for block in blocks if block.get("block_id")]
    if len(ids) != len(set(ids)):
        found.append("block_id must be unique [json-pointer:/blocks]")
    for number, block in enumerate(blocks):
        found += [f"{problem} [json-pointer:/blocks/{number}]" for problem in _of_block(block)]
    return [f"[ERROR] {problem}" for problem in found]


def identified(blocks: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The blocks as Slack stores them: each with a block_id."""
    return [{"block_id": f"b{number}", **block} for number, block in enumerate(blocks or [])]


def _of_block(block: dict[str, Any]) -> list[str]:
    kind = block.get("type")
    if kind not in BLOCK_TYPES:
        return [f"unsupported type: {kind}"]
    found = _too_long("block_id", block.get("block_id"), MAX_BLOCK_ID)
    if kind == "section":
        if not block.get("text") and not block.get("fields"):
            found.append("missing required field: text")
        found += _of_text("text", block.get("text"), MAX_SECTION)
    elif kind == "header":
        found += _of_text("text", block.get("text") or {}, MAX_HEADER, plain=True)
    elif kind == "image":
        if not block.get("image_url") and not block.get("slack_file"):
            found.append("missing required field: image_url")
        if not block.get("alt_text"):
            found.append("missing required field: alt_text")
        found += _too_long("alt_text", block.get("alt_text"), MAX_ALT)
        found += _too_long("image_url", block.get("image_url"), MAX_URL)
    elif kind in ("actions", "context"):
        elements = block.get("elements") or []
        most = 25 if kind == "actions" else 10
        if not 1 <= len(elements) <= most:
            found.append(f"elements must hold 1 to {most} items")
        if kind == "actions":
            found += [problem for element in elements for problem in _of_element(element)]
            actions = [element.get("action_id") for element in elements]
            if len(actions) != len(set(actions)):
                found.append("action_id must be unique in its block")
        else:
            found += [p for e in elements if e.get("type") != "image" for p in _of_text("elements", e, MAX_SECTION)]
    elif kind == "input":
        found += _of_text("label", block.get("label") or {}, 2000, plain=True)
    if block.get("accessory"):
        found += _of_element(block["accessory"])
    return found


def _of_element(element: dict[str, Any]) -> list[str]:
    found = _too_long("action_id", element.get("action_id"), MAX_ACTION_ID)
    if element.get("type") == "button":
        found += _of_text("text", element.get("text") or {}, MAX_BUTTON, plain=True)
        found += _too_long("value", element.get("value"), MAX_VALUE)
        if element.get("style") not in (None, "primary", "danger"):
            found.append(f"unknown style: {element['style']}")
    return found


def _of_text(name: str, text: Any, most: int, *, plain: bool = False) -> list[str]:
    if text is None:
        return []
    kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    if not isinstance(text, dict) or text.get("type") not in kinds:
        return [f"{name} must be of type {' or '.join(kinds)}"]
    if not text.get("text"):
        return [f"{name} must be at least 1 character"]
    return _too_long(name, text["text"], most)


def _too_long(name: str, value: Any, most: int) -> list[str]:
    return [f"{name} must be no more than {most} characters"] if isinstance(value, str) and len(value) > most else []


def view_problems(view: Any) -> list[str]:
    """The same for a modal view."""
    if not isinstance(view, dict) or view.get("type") not in ("modal", "home"):
        return ["[ERROR] unsupported type [json-pointer:/view/type]"]
    found = problems(view.get("blocks"), limit=MAX_VIEW_BLOCKS)
    if view["type"] == "modal":
        for name in ("title", "submit", "close"):
            parts = _of_text(name, view.get(name, {} if name == "title" else None), MAX_TITLE, plain=True)
            found += [f"[ERROR] {part} [json-pointer:/view/{name}]" for part in parts]
        if not view.get("submit") and any(block.get("type") == "input" for block in view.get("blocks") or []):
            found.append("[ERROR] submit is required with input blocks [json-pointer:/view/submit]")
    return found
