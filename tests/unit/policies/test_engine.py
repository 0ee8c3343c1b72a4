# SPDX-License-Identifier: Apache-2.0
"""What the database's errors mean."""

import pytest
from oslo_db import exception
from sqlalchemy import exc

from nova_qos.policies.engine import is_overtaken


def _said(number: int, text: str) -> exc.OperationalError:
    return exc.OperationalError("UPDATE", {}, Exception(number, text))


@pytest.mark.parametrize("error", [
    exception.DBDeadlock(_said(1213, "Deadlock found when trying to get lock")),
    exception.DBDeadlock(_said(1020, "Record has changed since last read in table 't'")),
    # as oslo.db before 18.0 takes it
    exception.DBError(_said(1020, "Record has changed since last read in table 't'")),
])
def test_another_was_first(error: exception.DBError) -> None:
    assert is_overtaken(error)


@pytest.mark.parametrize("error", [
    exception.DBError(_said(1205, "Lock wait timeout exceeded")),
    exception.DBDuplicateEntry(["name"], _said(1062, "Duplicate entry '(1020, ' for key 'name'")),
    ValueError("(1020, )"),
])
def test_no_other_was_first(error: Exception) -> None:
    assert not is_overtaken(error)
