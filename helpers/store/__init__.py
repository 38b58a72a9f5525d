"""The prompt store: one ClickHouse client, whether the database is inside this notebook or on a server.

    >>> from helpers import store
    >>> client = store.connect()
    >>> client.query("SELECT version()").result_rows

`COURSE_STORE` says where the prompts are:

========================================  ====================================================================
`chdb://prompt_store` (the default)       chDB, ClickHouse inside this process; its files are in the folder
                                          `prompt_store` of the notebook's working folder
`chdb:///data/prompts`                    the same, in a folder of your choice
`chdb://memory`                           the same, in memory: lost when the kernel stops
`clickhouse://ada@db.example.org/course`  a ClickHouse or MyScale server: user, host, database; HTTP port 8123 by
                                          default. The password comes from `COURSE_STORE_PASSWORD` (environment
                                          or Colab's secrets)
`clickhouses://…`                         the same over TLS, port 8443 by default
========================================  ====================================================================

The SQL is the same everywhere: `distance` of two vectors, which MyScale has, is defined where the database has only
`cosineDistance`; `index_ddl` knows how each database makes an index.

An embedded store belongs to one process at a time, and a process has one embedded store at a time. Never query it in a
forked child (`multiprocessing` on Linux forks up to Python 3.13): the engine's threads are missing there, and the query
hangs.

Modules, in reading order: `client` (connect), `embedded`, `server`, `sql` (indexes, settings, names), `vectors` (checks
before an insert), `errors` and `messages` (the database's errors in a sentence).
"""

from helpers.store.client import connect
from helpers.store.errors import StoreError
from helpers.store.sql import EXACT, index_ddl, is_myscale, known_settings, quoted
from helpers.store.vectors import VECTOR_LENGTH, check_vectors

__all__ = [
    "EXACT",
    "VECTOR_LENGTH",
    "StoreError",
    "check_vectors",
    "connect",
    "index_ddl",
    "is_myscale",
    "known_settings",
    "quoted",
]
