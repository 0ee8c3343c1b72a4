# SPDX-License-Identifier: Apache-2.0
"""What iperf3's server prints of a stream, in both directions."""

from pathlib import Path

import pytest

from tools.bed.stack.layout import Layout
from tools.bed.stack.servers import Server
from tools.bed.stack.traffic import Stream

_RECEIVES = """\
[ ID] Interval           Transfer     Bitrate
[  5]   0.00-0.50   sec  1.22 MBytes  20400 Kbits/sec
[  5]   0.50-1.00   sec  1.19 MBytes  19900 Kbits/sec
[  5]   1.00-1.02   sec  1.12 KBytes    458 Kbits/sec
[  5]   0.00-1.02   sec  2.41 MBytes  19800 Kbits/sec                  receiver
"""
_SENDS = """\
[ ID] Interval           Transfer     Bitrate         Retr  Cwnd
[  5]   0.00-0.50   sec  1.22 MBytes  20400 Kbits/sec    3   1023 KBytes
[  5]   0.50-1.00   sec  1.19 MBytes  19900 Kbits/sec    0   1.12 MBytes
[  5]   1.00-1.02   sec  1.12 KBytes    458 Kbits/sec    0   1.12 MBytes
[  5]   0.00-1.02   sec  2.41 MBytes  19800 Kbits/sec    3             sender
"""


@pytest.mark.parametrize(("printed", "inbound"), [(_RECEIVES, False), (_SENDS, True)])
def test_whole_intervals_count(printed: str, inbound: bool, tmp_path: Path) -> None:
    layout = Layout(state=tmp_path, repository=tmp_path)
    stream = Stream(layout, Server("vm1", "5f", "10.77.0.5"), 0, inbound)
    assert stream.received_mbit() == []
    layout.run.mkdir(parents=True, exist_ok=True)
    (layout.run / "iperf3-5201.log").write_text(printed)
    assert stream.received_mbit() == [20.4, 19.9]
