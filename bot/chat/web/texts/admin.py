"""Words of the owner's form, which several views have."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    # name: (Japanese, English)
    "owner": ("管理者の操作", "For the owner"),
    "owner_closed": (
        "BOKE_ADMIN_TOKENを設定してボットを起動すると、ここから操作できます。",
        "Start the bot with BOKE_ADMIN_TOKEN set, and this can be done from here.",
    ),
    "owner_token": ("管理者トークン", "Admin token"),
    "owner_hint": (
        "BOKE_ADMIN_TOKENの値です。このタブを閉じると忘れます。",
        "The value of BOKE_ADMIN_TOKEN. It is forgotten when you close this tab.",
    ),
    "owner_enter": ("操作できるようにする", "Unlock"),
    "owner_in": ("管理者として操作できます。", "You can make changes."),
    "owner_out": ("鍵をかける", "Lock"),
}

FOR_SCRIPTS = ("owner_in",)
