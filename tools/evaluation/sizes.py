# SPDX-License-Identifier: Apache-2.0
"""Numbers, and a name, that measurements and report have to agree on."""

from tools.bed.stack.config import HTB_RATE_MBIT

#: The uplink of the demo's cloud, in Mbit/s.
UPLINK_MBIT = HTB_RATE_MBIT
#: What the slow disk carries in a second; what each server writes in a job.
RATE_MIB, JOB_MIB = 16, 120
#: Soft limits under pressure: what is promised, what there is beyond, what each guest works on.
PROMISED_MIB, SPARE_MIB, USED_MIB = 320, 48, 128
#: What one of them is guaranteed.
GUARANTEED_MIB = 1024
#: In a phase of this name, what is due is due at least.
GUARANTEED_PHASE = "VM1 is guaranteed a half"
#: How many servers there are.
SERVERS = 3
