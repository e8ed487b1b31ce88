"""Ways of answering, by name. Imports nothing: the bot's own process knows the names without loading a network's libraries."""

from __future__ import annotations

BOKE = "boke"  # the LSTM with reranking
MISMATCH = "mismatch"  # a joke of a picture that is deliberately another one
RETRIEVE = "retrieve"  # the best joke of the most similar pictures
ARTICLE = "article"  # beam 3, as in 2016

ALWAYS = (BOKE, ARTICLE)  # every model has these
BORROWING = (MISMATCH, RETRIEVE)  # somebody's own words: only a model that carries examples has these
MODES = (BOKE, MISMATCH, RETRIEVE, ARTICLE)
