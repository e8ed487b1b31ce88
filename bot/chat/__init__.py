"""Front ends, one each: thin shells over `bot.boke`."""
