"""Prints the flattest tokens of every scored window: where the target model was least sure.

Reads public.plateau.scored-tokens.v1 as its page (docs/topics/scored-tokens.md) says: at least once, so it deduplicates by
ce_id and commits after the window is printed. One line of JSON for each window on standard output, everything else on
standard error.
"""

import argparse
import collections
import json
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "generated"))

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, Message
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
    from google.protobuf.message import DecodeError
    from plateau.stream.v1.window_pb2 import Arm, Decision, ScoredWindow
except ModuleNotFoundError as error:
    sys.exit(f"{error}: run `pip install -r requirements.txt` and `python generate.py` in examples/python first")

TOPIC = "public.plateau.scored-tokens.v1"
MESSAGE = "plateau.stream.v1.ScoredWindow"
SCHEMA_VERSION = 1
REMEMBERED_IDS = 100_000

ADVICE = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: f"this cluster has no topic {TOPIC}",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: f"you may not read {TOPIC}: ask for READ and DESCRIBE on it",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "you may not use this group: ask for READ on it, or choose another --group",
    KafkaError._TRANSPORT: "no broker answered: check --bootstrap, and TLS settings in --config",
    KafkaError._ALL_BROKERS_DOWN: "no broker answered: check --bootstrap, and TLS settings in --config",
    KafkaError._AUTHENTICATION: "the cluster refused your name or password: check --config",
}

# Understands Confluent's framing (docs/topics/README.md) without asking a registry: the message is known.
framed = ProtobufDeserializer(ScoredWindow, {"use.deprecated.format": False})


class Unusable(Exception):
    """A record that breaks the contract, or that this program is too old for."""


def decode(record: Message) -> ScoredWindow:
    if header(record, "ce_id") == "":
        raise Unusable("it has no ce_id")
    if header(record, "x-proto-message") != MESSAGE:
        raise Unusable(f"its message is {header(record, 'x-proto-message')!r}, not {MESSAGE}")
    value = record.value() or b""
    try:
        # A bare Protobuf message never begins with 0x00.
        window = framed(value, None) if value[:1] == b"\x00" else ScoredWindow.FromString(value)
    except (DecodeError, ValueError, EOFError, IndexError, struct.error, KafkaException) as error:
        raise Unusable(f"it does not decode: {error}") from error
    if window.provenance.schema_version > SCHEMA_VERSION:
        raise Unusable(f"its schema version is {window.provenance.schema_version}; this program knows {SCHEMA_VERSION}")
    for name in ("flatness", "entropy"):
        if len(getattr(window, name)) != len(window.token_ids):
            raise Unusable(f"it has {len(getattr(window, name))} numbers for {name}, and {len(window.token_ids)} tokens")
    return window


def header(record: Message, name: str) -> str:
    return next((value.decode("utf-8", "replace") for key, value in record.headers() or [] if key == name and value), "")


class RecentIds:
    """The ids that were seen last. A program that must never count twice stores them with what it computes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._ids: collections.OrderedDict[str, None] = collections.OrderedDict()

    def seen(self, event: str) -> bool:
        return event in self._ids

    def add(self, event: str) -> None:
        self._ids[event] = None
        if len(self._ids) > self._size:
            self._ids.popitem(last=False)


def flattest(window: ScoredWindow, count: int) -> dict:
    order = sorted(range(len(window.token_ids)), key=lambda i: -window.flatness[i])[:count]
    return {
        "sample_id": window.sample_id,
        "window_index": window.window_index,
        "arm": Arm.Name(window.arm),
        "decision": Decision.Name(window.decision),
        "flattest": [
            {
                "position": window.start_position + i,
                "token_id": window.token_ids[i],
                "flatness": round(window.flatness[i], 6),
                "entropy": round(window.entropy[i], 4),
            }
            for i in order
        ],
    }


def consume(consumer: Consumer, options: argparse.Namespace) -> None:
    ids = RecentIds(REMEMBERED_IDS)
    printed = duplicates = unusable = 0
    heard = time.monotonic()
    while options.max is None or printed < options.max:
        for record in consumer.consume(num_messages=100, timeout=1.0):
            if record.error():
                raise KafkaException(record.error())
            heard = time.monotonic()
            event = header(record, "ce_id")
            if ids.seen(event):
                duplicates += 1
            else:
                try:
                    print(json.dumps(flattest(decode(record), options.tokens)), flush=True)
                    ids.add(event)
                    printed += 1
                except Unusable as reason:
                    # Not a reason to stop: keep it for whoever asks, and go on.
                    where = f"{record.topic()}[{record.partition()}] at {record.offset()}"
                    print(f"unusable record in {where}: {reason}", file=sys.stderr)
                    unusable += 1
            # Only what has had its effect may be committed.
            consumer.store_offsets(record)
            if printed == options.max:
                break
        commit(consumer)
        if options.idle is not None and time.monotonic() - heard > options.idle:
            break
    print(f"{printed} windows, {duplicates} duplicates, {unusable} unusable", file=sys.stderr)


def commit(consumer: Consumer) -> None:
    try:
        consumer.commit(asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._NO_OFFSET:  # nothing new since the last commit
            raise


def properties(path: str | None) -> dict[str, str]:
    if path is None:
        return {}
    lines = [line.strip() for line in pathlib.Path(path).read_text().splitlines()]
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, value in pairs}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT", help="any broker of the cluster")
    parser.add_argument("--group", default="examples.flattest-tokens.v1", help="consumer group (default %(default)s)")
    parser.add_argument("--max", type=int, metavar="N", help="stop after N windows (default: go on for ever)")
    parser.add_argument("--idle", type=float, metavar="SECONDS", help="stop when nothing came for so long")
    parser.add_argument("--tokens", type=int, default=3, metavar="K", help="tokens shown of a window (default 3)")
    parser.add_argument("--config", metavar="FILE", help="librdkafka properties, for TLS and SASL: name=value lines")
    return parser.parse_args()


def main() -> int:
    options = parse()
    try:
        consumer = Consumer(
            {
                "bootstrap.servers": options.bootstrap,
                "group.id": options.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # Errors are told below, once and in words.
                "log_level": 0,
                **properties(options.config),
            }
        )
        metadata = consumer.list_topics(TOPIC, timeout=10)
        if metadata.topics[TOPIC].error is not None:
            raise KafkaException(metadata.topics[TOPIC].error)
        consumer.subscribe([TOPIC])
        try:
            consume(consumer, options)
        finally:
            consumer.close()
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        print(f"error: {ADVICE.get(reason.code(), reason.str())} ({reason.name()})", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
