# SPDX-License-Identifier: Apache-2.0
"""What a killed run leaves behind is taken away by the next, also by several processes at once."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

from tools.bed.namespace import remove_leftovers


def test_by_several_at_once() -> None:
    nobody = subprocess.Popen(["true"])
    nobody.wait()
    left = {f"nova-qos-{nobody.pid}-{number:06x}-host" for number in range(20)}
    for name in left:
        subprocess.run(["ip", "netns", "add", name], check=True)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(remove_leftovers) for _ in range(4)]:
            done.result()
    listed = subprocess.check_output(["ip", "netns", "list"], text=True)
    assert not [name for name in left if name in listed]
