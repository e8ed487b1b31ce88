# The bot in a container: no root, hashes checked, a read-only root file system is fine (data, models and caches are volumes).
#   docker build -t bokebot . && docker run --read-only --tmpfs /tmp -p 8080:8080 -v boke:/var/lib/boke bokebot
FROM python:3.13-slim

# emoji on cards in colour; the Japanese font comes with the Python packages
RUN apt-get update \
    && apt-get install -y --no-install-recommends fonts-noto-color-emoji \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/boke
COPY requirements-uv.lock requirements.lock build-constraints.txt ./
# Chainer has no wheel: it is built here, with the setuptools that build-constraints.txt allows
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
    && .venv/bin/uv pip sync --no-cache --require-hashes --build-constraints build-constraints.txt \
        --python .venv/bin/python requirements.lock

COPY bokemodel bokemodel
COPY bot bot
COPY store store
COPY training training

RUN useradd --system --uid 10001 --home-dir /var/lib/boke --create-home boke \
    && install -d -o boke -g boke /var/lib/boke/data /var/lib/boke/models /var/lib/boke/cache
USER boke
VOLUME ["/var/lib/boke"]

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/var/lib/boke/cache \
    BOKE__DATA__DIR=/var/lib/boke/data \
    BOKE__MODELS__DIR=/var/lib/boke/models \
    BOKE__WEB__HOST=0.0.0.0 \
    BOKE__WEB__PORT=8080

EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD [".venv/bin/python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"BOKE__WEB__PORT\"]}/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
CMD [".venv/bin/python", "-m", "bot"]
