"""The watchdog ends a worker that is stuck, and no other."""
import time

from harness.registry import scenario
from harness.stage import events

SOON = {"watchdog": {"progress": "3s"}}


@scenario(timeout_s=90)
def few_slow_calls_are_no_standstill(stage):
    """Many partitions wait for one slow call at a time: each lane waits long, none is stuck."""
    stage.set_up(partitions=16, rules=[{"latency_ms": 300}], changes={**SOON, "in_flight": 1})
    stage.publish(events(30))
    stage.fleet(1)
    stage.wait_done(stage.units(), 60)
    stage.judge()


@scenario(timeout_s=90)
def retry_after_is_no_standstill(stage):
    """A target asks for 5 s of silence, the patience allows it: the lane waits, it is not stuck."""
    stage.set_up(partitions=1, rules=[{"attempts": [1, 1], "status": 503, "headers": {"retry-after": "6"}}],
                 changes={**SOON, "targets": {"a": {"retry": {"hold": "30s"}}}})
    stage.fleet(1)
    stage.publish(events(3))
    stage.wait_done(stage.units(), 30)
    stage.judge()


@scenario(timeout_s=90)
def long_timeout_is_no_standstill(stage):
    """A call may take longer than watchdog.progress."""
    stage.set_up(partitions=1, rules=[{"latency_ms": 5000}], changes={**SOON, "targets": {"a": {"timeout": "10s"}}})
    stage.fleet(1)
    stage.publish(events(3))
    stage.wait_done(stage.units(), 30)
    stage.judge()


@scenario(timeout_s=90)
def frozen_process_is_no_standstill(stage):
    """SIGSTOP for longer than watchdog.progress, then SIGCONT: it works again."""
    stage.set_up(partitions=2, changes=SOON)
    worker = stage.fleet(1)[0]
    worker.freeze()
    time.sleep(4)  # the freeze
    worker.thaw()
    stage.publish(events(10))
    stage.wait_done(stage.units(), 30)
    stage.judge()
