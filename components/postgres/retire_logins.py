"""Refuses every login of NoETL's role but the newest, once everything works with that. Safe to run again.

Environment: that of load_schema.py. Sessions of an old login have SESSIONS_SECONDS to end by themselves; who has one may open more.
"""

import os
import sys
import time

import psycopg
from psycopg import sql

from load_schema import IS_LOGIN, LOCK, NEWEST, comment_on, connect

# A worker that leaves finishes its command, which NoETL cuts off after 180 seconds.
SESSIONS_SECONDS = int(os.environ.get("SESSIONS_SECONDS", "200"))


def old_logins(admin, role, login):
    """The role itself, where NoETL no longer logs in with it, and the logins that were made for it."""
    query = (
        "SELECT rolname FROM pg_roles WHERE rolname <> %s"
        " AND (rolname = %s OR shobj_description(oid, 'pg_authid') = %s) ORDER BY oid"
    )
    return [name for (name,) in admin.execute(query, (login, role, IS_LOGIN.format(role))).fetchall()]


def sessions(admin, logins):
    rows = admin.execute("SELECT pid, usename FROM pg_stat_activity WHERE usename = ANY(%s)", (logins,)).fetchall()
    return [(pid, str(name)) for pid, name in rows]


# A pooler keeps a connection for hours that nobody uses any more.
IS_USED = " AND (state IS DISTINCT FROM 'idle' OR state_change > now() - interval '60 seconds')"


def users(admin, logins):
    query = "SELECT DISTINCT usename FROM pg_stat_activity WHERE usename = ANY(%s)" + IS_USED
    return sorted(str(name) for (name,) in admin.execute(query, (logins,)).fetchall())


def wait_for_sessions(admin, logins):
    """Waits until these logins use no session: whoever does has not moved, and may need another."""
    deadline = time.monotonic() + SESSIONS_SECONDS
    names = users(admin, logins)
    if names:
        print(f"waiting for the sessions of {', '.join(names)}", flush=True)
    while users(admin, logins) and time.monotonic() < deadline:
        time.sleep(1)


def end_sessions(admin, logins):
    for pid, name in sessions(admin, logins):
        print(f"ending a session of {name}, which is still open", flush=True)
        try:
            admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
        except psycopg.errors.InsufficientPrivilege as error:
            print(f"it goes on until it ends by itself: {str(error).strip()}", flush=True)


def drop(admin, login):
    try:
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(login)))
    except psycopg.errors.DependentObjectsStillExist:
        print(f"role {login} stays, without a password: something belongs to it", flush=True)


def insist_on_newest(admin, role, login):
    if comment_on(admin, role) != NEWEST.format(login):
        sys.exit(f"nothing is refused: since {login} was let in, another update has let in another login of {role}")


def main():
    role, login = os.environ["NOETL_ROLE"], os.environ["NOETL_USER"]
    with connect("postgres") as admin:
        insist_on_newest(admin, role, login)
        # Without the lock, for which the next update would wait.
        wait_for_sessions(admin, old_logins(admin, role, login))
        admin.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        insist_on_newest(admin, role, login)
        logins = old_logins(admin, role, login)
        for name in logins:
            admin.execute(sql.SQL("ALTER ROLE {} WITH NOLOGIN PASSWORD NULL").format(sql.Identifier(name)))
        end_sessions(admin, logins)
        for name in logins:
            if name != role:
                drop(admin, name)
    print(f"NoETL's role {role} logs in as {login} alone")


if __name__ == "__main__":
    try:
        main()
    except psycopg.Error as error:
        sys.exit(f"refusing old logins failed: {str(error).strip()}")
