# SPDX-License-Identifier: Apache-2.0
"""The test bed, the demo and the evaluation; what the programs beside this file stand on."""
