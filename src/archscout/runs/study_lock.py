"""A study in PostgreSQL has one driver at a time, which holds an advisory lock."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from typing import Any

from archscout.errors import InputError

# The server lets a lock go some time after its driver was killed.
_TRIES, _PAUSE = 5, 0.2

# By these the server finds out within a minute that a driver's machine is gone.
_KEEPALIVE = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

_HOLDER = """
select activity.application_name from pg_locks lock join pg_stat_activity activity using (pid)
where lock.locktype = 'advisory' and lock.granted
and lock.database = (select oid from pg_database where datname = current_database())
and lock.classid::bigint << 32 | lock.objid::bigint = %s
"""
_END = """
select pg_terminate_backend(pid) from pg_stat_activity where pid = %s and application_name = %s
"""


class StudyLock:
    """Takes a study's lock for each connection that an engine makes; it lasts as long as that.

    Args:
        database: as messages show it.
        study: name of the study.
    """

    def __init__(self, database: str, study: str) -> None:
        self._database = database
        digest = hashlib.blake2b(study.encode(), digest_size=8).digest()
        self._key = int.from_bytes(digest, "big") >> 1  # bigint has a sign
        self._name = f"archscout on {socket.gethostname()[:32]}, process {os.getpid()}"
        self._earlier: int | None = None

    def __call__(self, connection: Any, _: object) -> None:
        """Lock the study.

        Args:
            connection: the driver's own.

        Raises:
            InputError: another process holds it.
        """
        cursor = connection.cursor()
        for setting, value in {"application_name": self._name, **_KEEPALIVE}.items():
            cursor.execute("select set_config(%s, %s, false)", (setting, value))
        if self._earlier is not None:  # cut off, which the server may not have seen
            cursor.execute(_END, (self._earlier, self._name))
        for _ in range(_TRIES):
            cursor.execute("select pg_try_advisory_lock(%s), pg_backend_pid()", (self._key,))
            locked, self._earlier = cursor.fetchone()
            connection.commit()
            if locked:
                return
            time.sleep(_PAUSE)
        cursor.execute(_HOLDER, (self._key,))
        holder = cursor.fetchone()
        connection.close()
        raise InputError(
            f"study database {self._database}: {holder[0] if holder else 'another process'} "
            "works on this run; wait for it, or stop it"
        )
