"""The views that people look at. Each is a module with its `VIEW` and `add_routes`; their order is that of the tabs."""

from __future__ import annotations

from bot.chat.web.views import models, play, training

MODULES = (play, training, models)
VIEWS = tuple(module.VIEW for module in MODULES)
