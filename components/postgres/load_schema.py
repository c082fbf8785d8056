"""Creates NoETL's role, database and schema and loads the DDL that the NoETL image carries. Safe to run again.

Environment: PGHOST, PGPORT, PGUSER, PGPASSWORD (administrator), NOETL_POSTGRES_DB, NOETL_USER, NOETL_PASSWORD,
NOETL_SCHEMA. The last lines of its output end up in the deployment's error, so they say what went wrong.

NOETL_ROLE, where it is set, is NoETL's role, and NOETL_USER a login of its own with which NoETL works as that role: the logins
before it stay valid until retire_logins.py. PGPASSWORD_FORMER, a JSON list, has passwords that the administrator may still
have, the newest first: it gets PGPASSWORD then.

NOETL_LEAVES_CONNECTIONS, where it is set, is how many of the server's connections NoETL leaves to others: whoever looks for what went
wrong, and backups, get in while NoETL holds all that it may.
"""

import importlib.resources
import json
import os
import sys
import time

import psycopg
from psycopg import sql

DDL = "database/ddl/postgres/schema_ddl.sql"
CONNECT_DEADLINE_SECONDS = 120
# One advisory lock number for every loader, so that two of them at once wait for each other.
LOCK = 0x4E6F45544C
# Refusals that waiting does not change.
FINAL = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "does not exist")
# Comments on roles: by the first a login is known to be one, by the second, on NoETL's role, which is the newest.
IS_LOGIN = "login of {}"
NEWEST = "NoETL logs in as {}"


def connect(database):
    """Connects as the administrator, waiting for a database that is still starting; a refused password is final."""
    deadline = time.monotonic() + CONNECT_DEADLINE_SECONDS
    changed = False
    while True:
        try:
            return psycopg.connect(dbname=database, connect_timeout=5, autocommit=True)
        except psycopg.OperationalError as error:
            text = str(error).strip()
            if "authentication failed" in text and not changed:
                changed = change_own_password(database)
                if changed:
                    continue
            if any(words in text for words in FINAL) or time.monotonic() > deadline:
                sys.exit(f"cannot connect to database {database} at {os.environ['PGHOST']}: {text}")
            print(f"waiting for database {database} at {os.environ['PGHOST']}", flush=True)
            time.sleep(2)


def change_own_password(database):
    """Sets the administrator's password where one that it had before is still valid."""
    for former in json.loads(os.environ.get("PGPASSWORD_FORMER") or "[]"):
        try:
            with psycopg.connect(dbname=database, password=former, connect_timeout=5, autocommit=True) as admin:
                set_password(admin, os.environ["PGUSER"], os.environ["PGPASSWORD"])
        except psycopg.OperationalError:
            continue
        print("the administrator has another password now", flush=True)
        return True
    return False


def set_password(connection, role, password):
    """As psql's \\password does it: the server gets a verifier, so the password reaches no log of statements."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("ALTER ROLE {} WITH LOGIN PASSWORD {}")
    connection.execute(statement.format(sql.Identifier(role), sql.Literal(verifier)))


def packaged_ddl():
    """The schema that NoETL's Python package carries as package data."""
    try:
        file = importlib.resources.files("noetl")
        for part in DDL.split("/"):
            file = file / part
        return file.read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError) as error:
        sys.exit(f"the NoETL image carries no schema (noetl/{DDL}): {error}")


def exists(connection, query, name):
    return connection.execute(query, (name,)).fetchone() is not None


def create_role(connection, role):
    if not exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        return True
    return False


def comment(connection, role, text):
    connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(role), sql.Literal(text)))


def comment_on(connection, role):
    query = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s"
    return (connection.execute(query, (role,)).fetchone() or (None,))[0]


def limit_connections(admin, login):
    """Limits the sessions of a login. A superuser is never limited, and has connections of its own besides."""
    leaves = os.environ.get("NOETL_LEAVES_CONNECTIONS")
    if leaves is None:
        return
    names = ("max_connections", "superuser_reserved_connections")
    most, reserved = (int(admin.execute(sql.SQL("SHOW {}").format(sql.Identifier(name))).fetchone()[0]) for name in names)
    limit = max(1, most - reserved - int(leaves))
    admin.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(sql.Identifier(login), sql.Literal(limit)))


def let_in(admin, role, login):
    """Makes NoETL's role, and the login that works as it, which may be the role itself."""
    with admin.transaction():
        create_role(admin, role)
        if login != role:
            if not create_role(admin, login) and comment_on(admin, login) != IS_LOGIN.format(role):
                sys.exit(f"role {login} is somebody else's, and NoETL cannot log in with it: rename or drop it")
            owner, name = sql.Identifier(role), sql.Identifier(login)
            # Whoever is not a superuser may let another work as a role only where it may do so itself.
            if not exists(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s AND rolsuper", os.environ["PGUSER"]):
                admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(owner))
            admin.execute(sql.SQL("GRANT {} TO {}").format(owner, name))
            # What it makes belongs to the role, also after the login is gone.
            admin.execute(sql.SQL("ALTER ROLE {} SET role TO {}").format(name, sql.Literal(role)))
            comment(admin, login, IS_LOGIN.format(role))
        set_password(admin, login, os.environ["NOETL_PASSWORD"])
        limit_connections(admin, login)
        if "NOETL_ROLE" in os.environ:
            comment(admin, role, NEWEST.format(login))


def load(admin, database, role):
    """Makes the database, and the schema with all that is in it."""
    schema = os.environ["NOETL_SCHEMA"]
    name, place, owner = sql.Identifier(database), sql.Identifier(schema), sql.Identifier(role)
    ddl = packaged_ddl()
    if not exists(admin, "SELECT 1 FROM pg_database WHERE datname = %s", database):
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
    with connect(database) as connection:
        connection.execute(sql.SQL("GRANT ALL ON DATABASE {} TO {}").format(name, owner))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(place))
        with connection.transaction():
            connection.execute(ddl)
        connection.execute(sql.SQL("GRANT ALL ON SCHEMA {} TO {}").format(place, owner))
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
            words = sql.SQL(kind)
            connection.execute(sql.SQL("GRANT ALL ON ALL {} IN SCHEMA {} TO {}").format(words, place, owner))
            connection.execute(
                sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT ALL ON {} TO {}").format(place, words, owner)
            )
    print(f"schema {schema} of database {database} is loaded")


def main():
    database, login = os.environ["NOETL_POSTGRES_DB"], os.environ["NOETL_USER"]
    role = os.environ.get("NOETL_ROLE", login)
    packaged_ddl()
    with connect("postgres") as admin:
        admin.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        let_in(admin, role, login)
        load(admin, database, role)


if __name__ == "__main__":
    try:
        main()
    except psycopg.Error as error:
        sys.exit(f"loading the schema failed: {str(error).strip()}")
