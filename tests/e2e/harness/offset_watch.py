"""Looks at a group's committed offsets all the time, and says afterwards whether one ever passed an event that had not
ended by then: been answered 2xx by the target, or acknowledged in a retry or dead-letter topic."""
import json
import threading
import time

from . import checker


class OffsetWatch:
    """stop() it, then faults()."""

    def __init__(self, stage, pause_s=0.05):
        self.stage, self.pause_s, self.samples, self.enough = stage, pause_s, [], threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        client, stage = self.stage.kafka.client, self.stage
        while not self.enough.wait(self.pause_s):
            offsets = stage.quietly(lambda: client.committed(stage.group, stage.topic, stage.partitions))
            if offsets:
                self.samples.append((time.monotonic_ns(), offsets))

    def stop(self):
        self.enough.set()
        self.thread.join()

    def _ended(self):
        """{unit: when it ended, monotonic ns}"""
        stage = self.stage
        ended = {unit: calls[0].answered_ns for unit, calls in checker.done_calls(stage.target.requests()).items()}
        offset_ns = time.monotonic_ns() - time.time_ns()
        for topic in (*stage.retry_topics, stage.dead_topic):
            for r in stage.records(topic):
                unit = f"{r['headers'].get('sluice-target')}/{r['headers'].get('sluice-event-id')}"
                # the broker's or the producer's clock, in ms: not later than the acknowledgement
                parked_ns = r["ts"] * checker.MS + offset_ns
                ended[unit] = min(parked_ns, ended.get(unit, parked_ns))
        return ended

    def faults(self):
        """Sentences."""
        self.stop()
        ended, log = self._ended(), {}
        for r in self.stage.records(self.stage.topic):
            units = [f"{t}/{json.loads(r['payload'])['id']}" for t in self.stage.target_names]
            log.setdefault(r["partition"], []).append((r["offset"], max(ended.get(u, 1 << 62) for u in units), units[0]))
        faults = []
        for at_ns, offsets in self.samples:
            for partition, committed in offsets.items():
                for offset, ended_ns, unit in log.get(partition, ()):
                    if offset < committed and ended_ns > at_ns + 10 * checker.MS:
                        faults.append(f"partition {partition} was committed to {committed} before {unit} at {offset} ended")
        return faults
