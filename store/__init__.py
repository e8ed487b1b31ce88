"""What bot and training share: configuration, the database and its tables. Imports neither of them."""
