"""The sections of the configuration: every key with its type, its default and one line of why.

`config.example.toml` and the messages for wrong values are made from these descriptions.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.cron import CronTrigger
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from store.database import parse_url
from store.errors import DatabaseUnavailable

MIB = 1024 * 1024


def _listed(value: Any) -> Any:
    """A variable of the environment holds a list as JSON or with commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError('should be a list such as ["a", "b"] or a,b') from None
    return [item.strip() for item in value.split(",") if item.strip()]


def _ids(value: Any) -> Any:
    listed = _listed(value)
    return [_id(item) for item in listed] if isinstance(listed, list) else listed


def _id(value: Any) -> Any:
    """Ids are text everywhere; in a file they may stand as numbers."""
    return str(value) if type(value) is int else value


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


def _auto(value: Any) -> Any:
    return None if value == "auto" else _no_bool(value)


def _small(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _home(path: Path) -> Path:
    return path.expanduser()


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is no time zone; write one such as Asia/Tokyo or Europe/Berlin") from None
    return name


def _cron(expression: str) -> str:
    try:
        trigger = CronTrigger.from_crontab(expression, timezone="UTC")
    except ValueError as error:
        raise ValueError(f"is no cron expression (minute hour day month weekday, e.g. 30 3 * * *): {error}") from None
    if trigger.get_next_fire_time(None, datetime.now(UTC)) is None:
        raise ValueError("names a date that never comes")
    return expression


def _hours(value: str) -> str:
    if value and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)", value):
        raise ValueError("should be hours such as 01:00-06:00, or empty")
    return value


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if value and not good:
        raise ValueError("should be an address such as https://example.org")
    return value.rstrip("/")


def _database_url(value: str) -> str:
    try:
        if value:
            parse_url(value)
        return value
    except DatabaseUnavailable as error:
        raise ValueError(str(error)) from None


def _needed(value: str) -> str:
    if not value:
        raise ValueError("may not be empty")
    return value


Int = Annotated[int, BeforeValidator(_no_bool)]
Number = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[Int, Field(ge=0)]
AtLeastOne = Annotated[Int, Field(ge=1)]
Share = Annotated[Number, Field(ge=0, le=1)]
# Those below are None where the file says "auto".
AutoAtLeastOne = Annotated[AtLeastOne | None, BeforeValidator(_auto)]
AutoPositive = Annotated[Positive | None, BeforeValidator(_auto)]
AutoNotNegative = Annotated[NotNegative | None, BeforeValidator(_auto)]
AutoShare = Annotated[Annotated[Number, Field(gt=0, le=1)] | None, BeforeValidator(_auto)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Id = Annotated[str, BeforeValidator(_id)]
Ids = Annotated[tuple[str, ...], BeforeValidator(_ids)]
Ints = Annotated[tuple[Int, ...], BeforeValidator(_listed)]
Numbers = Annotated[tuple[Number, ...], BeforeValidator(_listed)]
Folder = Annotated[Path, AfterValidator(_home)]
OptionalPath = Annotated[
    Path | None, BeforeValidator(lambda v: None if v == "" else v), AfterValidator(lambda p: p and _home(p))
]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Cron = Annotated[str, AfterValidator(_cron)]
Hours = Annotated[str, AfterValidator(_hours)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
NeededAddress = Annotated[str, AfterValidator(_web_address), AfterValidator(_needed)]


def key(default: Any, why: str, **constraints: Any) -> Any:
    """A key with its default and its line in `config.example.toml`."""
    return Field(default, description=why, **constraints)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())


class Data(Section):
    """Where the program keeps its files."""

    dir: Folder = key(Path("data"), "pictures of the corpus, feature vectors, snapshots; made if it is missing")


class DatabaseSection(Section):
    """Corpus, answers, votes and training runs."""

    url: Annotated[str, AfterValidator(_database_url)] = key(
        "", "sqlite:///file.db or postgresql://user:password@host/name; empty: boke.db in data.dir", repr=False
    )
    pool_size: AtLeastOne = key(10, "connections kept open by one process")
    busy_timeout_s: Positive = key(10.0, "seconds to wait for another writer before giving up")


class Web(Section):
    """The page and the HTTP API."""

    enabled: bool = key(True, "false: no page, no API, no /healthz")
    host: str = key("127.0.0.1", "0.0.0.0 opens it to the network")
    port: Annotated[Int, Field(ge=0, le=65535)] = key(8080, "0 takes any free port")
    public_url: WebAddress = key("", "how the world reaches it, for permanent links; empty: as the browser asked")
    trusted_proxies: Texts = key((), "addresses or networks whose X-Forwarded-For is believed")
    posts_per_minute: Count = key(20, "pictures a minute from one address; 0: no limit")
    feed_consent: bool = key(True, "offer visitors to show their answer in the feed; false: no feed")
    feed_days: NotNegative = key(30.0, "pictures in the feed are erased after so many days; 0: with their answers")
    feed_pictures: Count = key(200, "so many pictures are kept for the feed, the newest")
    metrics: bool = key(True, "serve /metrics for Prometheus")
    language: Literal["auto", "ja", "en"] = key("auto", "of the page; auto: the browser's")


class Discord(Section):
    """Discord; starts where DISCORD_TOKEN is set."""

    enabled: bool = key(True, "false: stays off even with a token")
    api_base: NeededAddress = key("https://discord.com/api/v10", "for proxies and compatible servers")
    message_content: bool = key(True, "ask for the privileged intent; without it only commands, mentions and DMs work")
    shard_count: Count = key(0, "0: as many as Discord recommends")
    shard_ids: Ints = key((), "the shards of this process, where several share them; empty: all")
    command_guild: Id = key("", "register commands in this server only (at once, for trying out); empty: everywhere")


class Slack(Section):
    """Slack; starts where SLACK_BOT_TOKEN is set, with SLACK_APP_TOKEN (socket) or SLACK_SIGNING_SECRET (http)."""

    enabled: bool = key(True, "false: stays off even with tokens")
    base_url: NeededAddress = key("https://slack.com/api", "for proxies and compatible servers")
    mode: Literal["socket", "http"] = key("socket", "http: Slack calls /slack/events of the page's server")
    reply_in_thread: bool = key(True, "false: answers stand in the channel itself")


class Chat(Section):
    """What holds for every chat; moderators change it for their channel with /boke-settings."""

    enabled_channels: Ids = key((), 'ids of channels that are answered from the start; ["*"]: all')
    automatic: bool = key(True, "answer every picture in an enabled channel; false: only when asked")
    probability: Share = key(1.0, "share of the pictures that are answered unasked")
    cooldown_s: NotNegative = key(
        5.0, "seconds between two answers to one person in one channel; 0: no chat limit at all"
    )
    user_per_minute: Count = key(10, "answers to one person; 0: no limit")
    channel_per_minute: Count = key(30, "answers in one channel; 0: no limit")
    global_per_minute: Count = key(600, "answers of the whole bot; 0: no limit")
    max_pictures_per_message: AtLeastOne = key(4, "further pictures of one post are left alone")
    answer_links: bool = key(True, "links to pictures count as pictures, where their host is allowed")
    again_by: Literal["anyone", "poster"] = key("anyone", "who may press the button for another joke")
    card_default: bool = key(False, "send the picture with the joke under it along with every answer")
    language: Literal["ja", "en"] = key("ja", "of the bot's own words; the jokes are the model's")
    quiet_hours: Hours = key("", "hours without unasked answers, such as 23:00-07:00; empty: none")
    timezone: TimeZone = key("Asia/Tokyo", "of quiet hours, and of the day in today's best")
    admin_channel: str = key("", "discord:ID or slack:ID that reads how each training run ended; empty: none")


class Pictures(Section):
    """What is fetched and decoded."""

    allowed_hosts: Texts = key((), "hosts that links may point to beyond Discord's and Slack's own; may be loopback")
    max_bytes: AtLeastOne = key(20 * MIB, "larger files are refused")
    max_pixels: AtLeastOne = key(64_000_000, "width times height; more is refused before it is decoded")
    fetch_timeout_s: Positive = key(15.0, "for a whole download")
    max_redirects: Count = key(3, "followed to allowed hosts only")
    allow_url_posts: bool = key(False, 'POST /api/boke takes {"url": ...}; anybody can then make the bot fetch')


class Card(Section):
    """The picture with the joke under it."""

    font: OptionalPath = key(None, "an OpenType file; empty: Noto Sans CJK JP Bold, which comes along")
    width: Annotated[Int, Field(ge=200, le=4096)] = key(1080, "pixels")


class Model(Section):
    """What answers."""

    path: OptionalPath = key(None, "a bundle's folder; empty: current in models.dir, else the starter")
    encoder: Literal["efficientnet-lite0", "caffenet"] = key(
        "efficientnet-lite0", "vision network of the next training"
    )
    encoder_path: OptionalPath = key(None, "its weights, such as bvlc_reference_caffenet.caffemodel; empty: its own")
    encoder_blob: str = key("fc7", "caffenet: the layer whose output is the feature vector")
    encoder_size: AtLeastOne = key(227, "caffenet: side of its input in pixels")
    encoder_mean: Annotated[Numbers, Field(min_length=3, max_length=3)] = key(
        (104.0, 117.0, 123.0), "caffenet: mean of blue, green and red that is subtracted"
    )
    backend: Literal["auto", "onnx", "chainer"] = key(
        "auto", "what runs the vision network; auto: ONNX where installed"
    )


class Models(Section):
    """Trained models on disk."""

    dir: Folder = key(Path("models"), "published bundles; current in it is the live one")


class Engine(Section):
    """Where the model runs."""

    kind: Literal["process", "dask"] = key("process", "dask: on a cluster")
    workers: AtLeastOne = key(1, "processes, or tasks at a time on the cluster")
    threads: Count = key(0, "in each worker; 0: the cores shared evenly, with dask 1")
    address: str = key("", "of the dask scheduler, such as tls://10.0.0.5:8786")
    tls_ca: OptionalPath = key(None, "dask: certificate of the authority")
    tls_cert: OptionalPath = key(None, "dask: own certificate")
    tls_key: OptionalPath = key(None, "dask: own key")
    start_timeout_s: Positive = key(120.0, "until a worker has loaded its model")

    @model_validator(mode="after")
    def _address_of_cluster(self) -> Engine:
        if self.kind == "dask" and not self.address:
            raise ValueError("address is needed where kind is dask")
        return self


class Inference(Section):
    """How an answer is made."""

    queue_size: Annotated[Int, Field(ge=64)] = key(
        128, "pictures that may wait; beyond that people read that it is busy"
    )
    batch_size: AtLeastOne = key(8, "pictures that go through the network together")
    batch_wait_ms: NotNegative = key(10.0, "how long a picture waits for company")
    timeout_s: Positive = key(30.0, "a worker that is silent for longer is replaced")
    mode: str = key("boke", "way of answering where nobody asked for another")
    candidates: AutoAtLeastOne = key(None, 'jokes thought of for each one told; "auto": as the model says')
    temperature: AutoPositive = key(None, 'higher: bolder; "auto": as the model says')
    top_p: AutoShare = key(None, 'share of likely words that are drawn from; "auto": as the model says')
    mmi_lambda: AutoNotNegative = key(
        None, 'how much a joke must belong to this very picture; "auto": as the model says'
    )
    reload_check_s: Positive = key(5.0, "how often a new model in models.dir is looked for")


class Crawl(Section):
    """New jokes from bokete. Read the site's terms before you turn it on."""

    enabled: bool = key(False, "the nightly run, and one by hand, may crawl")
    base_url: NeededAddress = key("https://bokete.jp", "the site")
    contact: str = key("", "your mail address or page, told to the site with every request")
    user_agent: str = key("bokebot/0.1", "an honest name; the contact is added")
    delay_s: NotNegative = key(1.0, "seconds between two requests to one host")
    jitter: Share = key(0.3, "share by which the delay varies")
    max_requests: Count = key(3000, "in one run")
    hours: Hours = key("", "when the scheduled run may crawl, such as 01:00-06:00, in retrain.timezone; empty: always")
    timeout_s: Positive = key(30.0, "for one request")
    backoff_s: NotNegative = key(300.0, "first wait after the site said too fast; doubles each time")
    max_backoffs: Count = key(3, "then the crawl ends for the night")
    lists: Texts = key(("hot", "popular", "recent", "legend", "pickup", "select"), "lists under /boke/ that are read")
    categories: Texts = key((), "categories whose hot lists are read too; empty: all that the site's pages name")
    list_pages: AtLeastOne = key(20, "most pages read of one list")
    backfill: bool = key(True, "what is left of max_requests goes to older pictures, newest first")
    picture_hosts: Texts = key((), "hosts that pictures may come from; empty: whichever public host a page names")
    refresh_days: Positive = key(7.0, "the youngest jokes' stars are read again after so long, older ones' more rarely")
    gone_count: AtLeastOne = key(3, "a joke leaves the corpus after so many 404s in a row ...")
    gone_days: NotNegative = key(3.0, "... over at least so many days")
    unknown_share: Share = key(0.05, "more pages of unknown layout than this fail the crawl")


class Retrain(Section):
    """The nightly run: crawl, train, publish if better."""

    enabled: bool = key(True, "false: only by hand")
    cron: Cron = key("30 3 * * *", "minute hour day month weekday (weekdays by name: sun, mon)")
    timezone: TimeZone = key("Asia/Tokyo", "of cron and of crawl.hours")
    recipe: str = key("default", "a name in training/recipes, or a TOML file")
    min_jokes: Count = key(2000, "fewer after filtering: nothing is trained")
    time_limit_s: NotNegative = key(6 * 3600.0, "a longer run is stopped; 0: no limit")
    nice: Annotated[Int, Field(ge=0, le=19)] = key(15, "priority of the run beside the bot; 19 is the lowest")
    device: str = key("cpu", "cuda or cuda:0 where CuPy is installed")
    seed: Count = key(0, "same seed and corpus: same model")
    dev_share: Annotated[Share, Field(gt=0, lt=1)] = key(0.1, "share of the pictures that are held out")
    keep: AtLeastOne = key(5, "bundles kept for rolling back")
    vote_weight: NotNegative = key(1.0, "how much votes in chat count beside stars")
    min_gain: NotNegative = key(0.0, "bits per character by which a model must be better to be published")
    max_grounding_drop: Share = key(0.02, "how much r_at_10 may fall")
    max_novelty_drop: Share = key(0.1, "how much novelty may fall")
    max_self_repeat_rise: Share = key(0.1, "how much self_repeat may rise")


class Filter(Section):
    """What the bot does not say."""

    shipped_words: bool = key(True, "use the word list that comes along")
    words: Texts = key((), "further words; an answer with one is dropped")
    words_file: OptionalPath = key(None, "a text file with further words, one a line")
    crawled_jokes: Literal["drop", "source"] = key(
        "drop", "an answer that is somebody's joke word for word: drop it, or name its source"
    )


class Privacy(Section):
    """What is kept about people. Pictures never are, but for those that visitors of the page want in the feed."""

    store_features: bool = key(False, "keep the feature vector of posted pictures, so that votes teach the next model")
    retention_days: NotNegative = key(90.0, "answers and votes are erased after so many days; 0: never")


class Log(Section):
    """What the program says about itself."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_small)] = key(
        "info", "least level that is written"
    )
    format: Literal["text", "json"] = key("text", "json: one object a line")
