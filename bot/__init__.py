"""The bot: it talks to people. It never imports Chainer; the model lives in worker processes."""
