"""Creates NoETL's role, database and schema and loads the DDL that the NoETL image carries. Safe to run again.

Environment: PGHOST, PGPORT, PGUSER, PGPASSWORD (administrator), NOETL_POSTGRES_DB, NOETL_USER, NOETL_PASSWORD,
NOETL_SCHEMA. The last lines of its output end up in the deployment's error, so they say what went wrong.
"""

import importlib.resources
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


def connect(database):
    """Connects as the administrator, waiting for a database that is still starting; a refused password is final."""
    deadline = time.monotonic() + CONNECT_DEADLINE_SECONDS
    while True:
        try:
            return psycopg.connect(dbname=database, connect_timeout=5, autocommit=True)
        except psycopg.OperationalError as error:
            text = str(error).strip()
            if any(words in text for words in FINAL) or time.monotonic() > deadline:
                sys.exit(f"cannot connect to database {database} at {os.environ['PGHOST']}: {text}")
            print(f"waiting for database {database} at {os.environ['PGHOST']}", flush=True)
            time.sleep(2)


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


def main():
    database, role, schema = (os.environ[key] for key in ("NOETL_POSTGRES_DB", "NOETL_USER", "NOETL_SCHEMA"))
    ddl = packaged_ddl()
    name, place, owner = sql.Identifier(database), sql.Identifier(schema), sql.Identifier(role)
    with connect("postgres") as admin:
        admin.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        known = exists(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s", role)
        verb = sql.SQL("ALTER ROLE" if known else "CREATE ROLE")
        # As psql's \password does it: the server gets a verifier, so the password reaches no log of statements.
        password = os.environ["NOETL_PASSWORD"].encode()
        verifier = admin.pgconn.encrypt_password(password, role.encode(), b"scram-sha-256").decode()
        admin.execute(sql.SQL("{} {} WITH LOGIN PASSWORD {}").format(verb, owner, sql.Literal(verifier)))
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


if __name__ == "__main__":
    try:
        main()
    except psycopg.Error as error:
        sys.exit(f"loading the schema failed: {str(error).strip()}")
