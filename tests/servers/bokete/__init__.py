"""Parts of the local copy of the joke site."""
