"""Local servers that the real clients connect to in tests."""
