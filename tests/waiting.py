"""How tests wait without clocks: until something is bound to be true, and models that stop at a turnstile."""

import threading
import time

PATIENCE = 180  # seconds; only a broken endpoint takes that long


class Turnstile:
    """Lets a model take no more steps than it was given, so that a test decides what meets in the endpoint."""

    def __init__(self, model):
        self.steps, self._passes = 0, threading.Semaphore(0)
        model.register_forward_pre_hook(self)

    def __call__(self, module, inputs):
        assert self._passes.acquire(timeout=PATIENCE)
        self.steps += 1

    def give(self, passes):
        self._passes.release(passes)


def until(condition):
    """Waits for ``condition()``, which is bound to come true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
