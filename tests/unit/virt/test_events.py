# SPDX-License-Identifier: Apache-2.0
"""libvirt's event loop, in a process of its own: a process has one for good."""

import subprocess
import sys

SCRIPT = """
import ctypes, logging, sys, threading, time
import libvirt
from nova_qos.virt import events

failed = threading.Event()

class Failed(logging.Handler):
    def emit(self, record):
        failed.set()

logging.basicConfig()
logging.getLogger(events.__name__).addHandler(Failed())
events.run_loop()
(thread,) = (each for each in threading.enumerate() if each.name == "libvirt-events")
while sys._current_frames()[thread.ident].f_code is not libvirt.virEventRunDefaultImpl.__code__:
    time.sleep(0.01)  # until it waits
ctypes.pythonapi.PyThreadState_SetAsyncExc(
    ctypes.c_ulong(thread.ident), ctypes.py_object(RuntimeError))
# what is new wakes a loop that waits by now, and with it the error; in an hour, so that no callback
# gets it
for _ in range(600):
    libvirt.virEventAddTimeout(3_600_000, lambda _timer, _opaque: None, None)
    if failed.wait(0.1):
        break
assert failed.is_set(), "the error is lost"
rang = threading.Event()
libvirt.virEventAddTimeout(100, lambda _timer, _opaque: rang.set(), None)
assert rang.wait(60), "the loop has ended"
"""


def test_the_loop_continues_after_an_error() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "libvirt's event loop failed; it continues" in done.stderr
