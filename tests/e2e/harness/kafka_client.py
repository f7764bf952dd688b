"""A very small Kafka client on the bare protocol: topics, log ends, committed offsets, group members.

Independent of librdkafka and of our code; the versions used are known to Kafka 3.9 and 4.x and to librdkafka's mock
cluster. One broker: whoever is asked is leader and coordinator of everything.
"""
import socket
import struct

from .proc import Failure, wait_for

LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, DESCRIBE_GROUPS = 2, 3, 8, 9, 10, 15
CREATE_TOPICS, DELETE_TOPICS, DELETE_RECORDS, CREATE_PARTITIONS = 19, 20, 21, 37
DESCRIBE_ACLS, CREATE_ACLS, DELETE_ACLS = 29, 30, 31
RESOURCES, PATTERNS = {"topic": 2, "group": 3, "cluster": 4}, {"literal": 3, "prefixed": 4}
OPERATIONS, ALLOW = {"read": 3, "write": 4, "create": 5, "describe": 8, "idempotent_write": 12}, 3
NO_ERROR, TOPIC_ALREADY_EXISTS, NOT_LEADER, UNKNOWN_TOPIC = 0, 36, 6, 3


def _text(value):
    raw = value.encode()
    return struct.pack(">h", len(raw)) + raw


def _array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value[0] if len(value) == 1 else value

    def text(self):
        size = self.take("h")
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def blob(self):
        size = self.take("i")
        self.at += max(size, 0)
        return self.data[self.at - max(size, 0):self.at]

    def array(self, item):
        return [item() for _ in range(self.take("i"))]


class KafkaClient:
    """Each question opens a connection of its own: brokers in these tests come and go."""

    def __init__(self, host, port, timeout_s=5):
        self.address, self.timeout_s = (host, port), timeout_s

    def _ask(self, api, version, body):
        try:
            with socket.create_connection(self.address, self.timeout_s) as s:
                head = struct.pack(">hhi", api, version, 1) + _text("sluice-tests")
                s.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
                size = struct.unpack(">i", self._exactly(s, 4))[0]
                return _Reader(self._exactly(s, size)[4:])
        except OSError as e:
            raise ConnectionError(f"broker {self.address[0]}:{self.address[1]}: {e}") from None

    @staticmethod
    def _exactly(s, size):
        data = b""
        while len(data) < size:
            part = s.recv(size - len(data))
            if not part:
                raise ConnectionError("closed by the broker")
            data += part
        return data

    def answers(self):
        """Does the broker serve topics and groups?"""
        try:
            self.partitions()
            self.committed("sluice-tests", "sluice-tests", 1)
            return True
        except ConnectionError:
            return False

    def partitions(self):
        """{topic: number of partitions} of all topics that have leaders."""
        r = self._ask(METADATA, 1, struct.pack(">i", -1))
        r.array(lambda: (r.take("i"), r.text(), r.take("i"), r.text()))  # brokers
        r.take("i")  # controller
        topics = {}

        def partition():
            error, _, leader = r.take("hii")
            r.array(lambda: r.take("i"))
            r.array(lambda: r.take("i"))
            return error == NO_ERROR and leader >= 0

        def topic():
            error, name, _ = r.take("h"), r.text(), r.take("b")
            led = r.array(partition)
            if error == NO_ERROR and led and all(led):
                topics[name] = len(led)
        r.array(topic)
        return topics

    def create_topic(self, name, partitions, config=()):
        settings = _array([_text(k) + _text(v) for k, v in dict(config).items()])
        body = _array([_text(name) + struct.pack(">ih", partitions, 1) + _array([]) + settings])
        r = self._ask(CREATE_TOPICS, 2, body + struct.pack(">ib", 10000, 0))
        r.take("i")
        for _, error, why in r.array(lambda: (r.text(), r.take("h"), r.text())):
            if error not in (NO_ERROR, TOPIC_ALREADY_EXISTS):
                raise Failure(f"topic {name} not created: error {error} {why}")

    @staticmethod
    def _acl(rule, principal):
        """rule: ("topic", "prefixed", "ci.", "read")"""
        resource, pattern, name, operation = rule
        return (struct.pack(">b", RESOURCES[resource]) + _text(name) + struct.pack(">b", PATTERNS[pattern]) +
                _text(f"User:{principal}") + _text("*") + struct.pack(">bb", OPERATIONS[operation], ALLOW))

    def allow(self, principal, rules):
        r = self._ask(CREATE_ACLS, 1, _array([self._acl(rule, principal) for rule in rules]))
        r.take("i")
        for error, why in r.array(lambda: (r.take("h"), r.text())):
            if error != NO_ERROR:
                raise Failure(f"ACL not made: error {error} {why}")
        for rule in rules:  # the controller said yes, the broker learns of it later
            wait_for(lambda: self._has_acl(rule, principal), 10, f"the broker to know of {rule}")

    def _has_acl(self, rule, principal):
        r = self._ask(DESCRIBE_ACLS, 1, self._acl(rule, principal))
        r.take("i")
        error, why = r.take("h"), r.text()
        if error != NO_ERROR:
            raise Failure(f"ACLs not told: error {error} {why}")
        return r.take("i") > 0

    def disallow(self, principal, rules):
        """Exactly these."""
        r = self._ask(DELETE_ACLS, 1, _array([self._acl(rule, principal) for rule in rules]))
        r.take("i")

        def matched():
            return r.take("h"), r.text(), r.take("b"), r.text(), r.take("b"), r.text(), r.text(), r.take("bb")
        for error, why, gone in r.array(lambda: (r.take("h"), r.text(), r.array(matched))):
            if error != NO_ERROR or len(gone) != 1:
                raise Failure(f"ACL not removed: error {error} {why}, {len(gone)} matched")

    def delete_topic(self, name):
        self._ask(DELETE_TOPICS, 1, _array([_text(name)]) + struct.pack(">i", 10000))

    def add_partitions(self, name, count):
        """count: how many there are afterwards."""
        body = _array([_text(name) + struct.pack(">ii", count, -1)])
        r = self._ask(CREATE_PARTITIONS, 0, body + struct.pack(">ib", 10000, 0))
        r.take("i")
        for _, error, why in r.array(lambda: (r.text(), r.take("h"), r.text())):
            if error != NO_ERROR:
                raise Failure(f"topic {name} has not got {count} partitions: error {error} {why}")

    def delete_records(self, topic, before):
        """before: {partition: the first offset that stays}, as retention would do it."""
        rows = _array([struct.pack(">iq", p, offset) for p, offset in before.items()])
        r = self._ask(DELETE_RECORDS, 0, _array([_text(topic) + rows]) + struct.pack(">i", 10000))
        r.take("i")
        for _, parts in r.array(lambda: (r.text(), r.array(lambda: r.take("iqh")))):
            for partition, _, error in parts:
                if error != NO_ERROR:
                    raise Failure(f"{topic}[{partition}]: records not deleted: error {error}")

    def commit(self, group, topic, offsets, note=""):
        """Set a group's offsets as an operator's tool does: {partition: offset}. The group must be empty."""
        rows = _array([struct.pack(">iq", p, offset) + _text(note) for p, offset in offsets.items()])
        body = _text(group) + struct.pack(">i", -1) + _text("") + struct.pack(">q", -1) + _array([_text(topic) + rows])
        r = self._ask(OFFSET_COMMIT, 2, body)
        for _, parts in r.array(lambda: (r.text(), r.array(lambda: r.take("ih")))):
            for partition, error in parts:
                if error != NO_ERROR:
                    raise Failure(f"{topic}[{partition}]: offset not set: error {error}")

    def _offsets(self, topic, partitions, when):
        body = struct.pack(">i", -1) + _array(
            [_text(topic) + _array([struct.pack(">iq", p, when) for p in range(partitions)])])
        r = self._ask(LIST_OFFSETS, 1, body)
        rows = r.array(lambda: (r.text(), r.array(lambda: r.take("ihqq"))))[0][1]
        for partition, error, _, _ in rows:
            if error != NO_ERROR:
                raise ConnectionError(f"{topic}[{partition}]: error {error}")
        return {partition: offset for partition, _, _, offset in rows}

    def ends(self, topic, partitions):
        """{partition: offset after the last record}."""
        return self._offsets(topic, partitions, -1)

    def begins(self, topic, partitions):
        return self._offsets(topic, partitions, -2)

    def committed(self, group, topic, partitions):
        """{partition: committed offset, -1 when there is none}."""
        self._ask(FIND_COORDINATOR, 0, _text(group))  # makes the broker load or create its offsets topic
        body = _text(group) + _array([_text(topic) + _array([struct.pack(">i", p) for p in range(partitions)])])
        r = self._ask(OFFSET_FETCH, 1, body)
        rows = r.array(lambda: (r.text(), r.array(lambda: (r.take("iq"), r.text(), r.take("h")))))
        result = dict.fromkeys(range(partitions), -1)
        for (partition, offset), _, error in rows[0][1] if rows else []:
            if error not in (NO_ERROR, UNKNOWN_TOPIC):
                raise ConnectionError(f"group {group}: error {error}")
            result[partition] = offset
        return result

    def group(self, name):
        """(state, {client id: [(topic, partition), ...]}): real brokers only."""
        r = self._ask(DESCRIBE_GROUPS, 0, _array([_text(name)]))

        def member():
            _, client, _ = r.text(), r.text(), r.text()
            r.blob()
            return client, _assignment(r.blob())
        groups = r.array(lambda: (r.take("h"), r.text(), r.text(), r.text(), r.text(), r.array(member)))
        error, _, state, _, _, members = groups[0]
        if error != NO_ERROR:
            raise ConnectionError(f"group {name}: error {error}")
        return state, dict(members)


def _assignment(blob):
    if not blob:
        return []
    r = _Reader(blob)
    r.take("h")
    rows = r.array(lambda: (r.text(), r.array(lambda: r.take("i"))))
    return [(topic, partition) for topic, partitions in rows for partition in partitions]
