"""What REST accepts as a message: Discord's limits on text, files and components, and how an edit is applied."""

from __future__ import annotations

from collections.abc import Sequence

from .model import Attachment, Message, Upload, walk_components
from .protocol import ApiError, Json, MessageFlag, invalid_form
from .world import World

MAX_TEXT = 2000
MAX_FILES = 10
MAX_FILE_BYTES = 10 * 1024 * 1024


def edit_from_body(world: World, message: Message, body: Json, uploads: Sequence[Upload]) -> None:
    """Apply a PATCH: fields that are absent stay; of the attachments those stay that the list names."""
    check_edit(message, body, uploads)
    folder = "ephemeral" if message.ephemeral else str(message.channel.id)
    attachments: list[Attachment] | None = None
    if "attachments" in body or uploads:
        listed = {str(entry["id"]) for entry in body.get("attachments") or []}
        kept = [old for old in message.attachments if "attachments" not in body or str(old.id) in listed]
        attachments = [*kept, *(world.attach(upload, folder) for upload in uploads)]
    world.edit_message(
        message,
        content=(body["content"] or "") if "content" in body else None,
        allowed_mentions=body.get("allowed_mentions"),
        attachments=attachments,
        embeds=(body["embeds"] or []) if "embeds" in body else None,
        components=(body["components"] or []) if "components" in body else None,
        flags=message.flags & ~MessageFlag.LOADING,
    )


def check_body(body: Json, uploads: Sequence[Upload]) -> None:
    """Discord's own checks of a new message. Raises ApiError 400 or 413."""
    content = body.get("content") or ""
    anything = content or uploads or body.get("embeds") or body.get("sticker_ids") or body.get("poll")
    if not (anything or MessageFlag(body.get("flags") or 0) & MessageFlag.COMPONENTS_V2):
        raise ApiError(400, 50006, "Cannot send an empty message")
    _check_parts(body, uploads)


def check_edit(message: Message, body: Json, uploads: Sequence[Upload]) -> None:
    emptied = "content" in body and not body["content"]
    if emptied and not (message.attachments or uploads or message.embeds or body.get("embeds")):
        raise ApiError(400, 50006, "Cannot send an empty message")
    _check_parts(body, uploads)


def _check_parts(body: Json, uploads: Sequence[Upload]) -> None:
    if len(body.get("content") or "") > MAX_TEXT:
        raise invalid_form("content", "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length.")
    if len(uploads) > MAX_FILES:
        raise invalid_form("attachments", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    if any(len(upload.data) > MAX_FILE_BYTES for upload in uploads):
        raise ApiError(413, 40005, "Request entity too large")
    rows = body.get("components") or []
    classic = not MessageFlag(body.get("flags") or 0) & MessageFlag.COMPONENTS_V2
    if classic and len(rows) > 5:
        raise invalid_form("components", "BASE_TYPE_BAD_LENGTH", "Must be between 0 and 5 in length.")
    seen: set[str] = set()
    for index, row in enumerate(rows):
        if classic and not 1 <= len(row.get("components", ())) <= 5:
            raise invalid_form(f"components.{index}", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
        for part in walk_components([row]):
            custom_id = part.get("custom_id")
            if custom_id is not None and (len(custom_id) > 100 or not custom_id):
                raise invalid_form(
                    f"components.{index}", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length."
                )
            if custom_id in seen:
                raise invalid_form(
                    f"components.{index}", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated"
                )
            if custom_id is not None:
                seen.add(custom_id)
