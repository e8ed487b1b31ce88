"""The parts of the local Slack; tests use `tests.servers.slack_server`."""
