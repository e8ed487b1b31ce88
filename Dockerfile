# The bot in a container:
#   docker build -t bokebot .
#   docker run --init -p 8080:8080 -v boke-data:/data -v boke-models:/models --env-file .env bokebot
# Tokens and keys come from the environment (DISCORD_TOKEN, BOKE__CHAT__LANGUAGE=en, ...) or from /data/config.toml.
# Nothing is written outside /data and /models: --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges works.
# `docker kill --signal HUP` makes it read its configuration and model again. `docker run ... bokebot --check` looks around.

FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements-uv.lock requirements.lock build-constraints.txt ./
# Chainer's set-up needs a setuptools of its age: that is what the build constraints say.
RUN python -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
    && python -m venv --without-pip /opt/boke \
    && /opt/uv/bin/uv pip sync --no-cache --compile-bytecode --require-hashes \
        --build-constraints build-constraints.txt --python /opt/boke/bin/python requirements.lock

FROM python:3.13-slim
# Emoji on cards; FriBiDi joins those that are made of several.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-noto-color-emoji libfribidi0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-log-init --home-dir /data --shell /usr/sbin/nologin boke \
    && install --directory --owner boke --group boke /data /models
COPY --from=build /opt/boke /opt/boke
COPY store /app/store
COPY bokemodel /app/bokemodel
COPY training /app/training
COPY bot /app/bot
RUN /opt/boke/bin/python -m compileall -q /app
ENV PATH=/opt/boke/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    XDG_CACHE_HOME=/data/cache \
    BOKE__DATA__DIR=/data \
    BOKE__MODELS__DIR=/models \
    BOKE__WEB__HOST=0.0.0.0 \
    BOKE__WEB__PORT=8080
USER boke
WORKDIR /data
VOLUME ["/data", "/models"]
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['BOKE__WEB__PORT'] + '/healthz', timeout=8)"]
ENTRYPOINT ["python", "-m", "bot"]
