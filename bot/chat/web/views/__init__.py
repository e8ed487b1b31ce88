"""The views that people look at. Each is a module with its `VIEW` and `add_routes`; their order is that of the tabs."""

from __future__ import annotations

from bot.chat.web.views import check, data, models, play, training

MODULES = (play, data, check, training, models)
VIEWS = tuple(module.VIEW for module in MODULES)
