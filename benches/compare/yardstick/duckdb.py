"""Loads a zip into DuckDB, or deletes what it names. Prints seconds and rows as JSON.

The time runs from the start of unzip to the end of the commit; the start of Python is left out.
"""

import json
import os
import subprocess
import sys
import time

import duckdb

what, database, archive, *columns = sys.argv[1:]
if what == "load":
    for name in (database, database + ".wal"):
        if os.path.exists(name):
            os.remove(name)
connection = duckdb.connect(database)
began = time.perf_counter()
unzip = subprocess.Popen(["unzip", "-p", archive], stdout=subprocess.PIPE)
names = ", ".join(f"'{name}': 'VARCHAR'" for name in columns)
source = (
    f"read_csv('/dev/fd/{unzip.stdout.fileno()}', columns = {{{names}}}, auto_detect = false, "
    "delim = '\t', quote = '', escape = '', header = true, nullstr = '')"
)
connection.execute("BEGIN")
if what == "load":
    connection.execute(f"CREATE TABLE records AS SELECT * FROM {source}")
    (rows,) = connection.execute("SELECT count(*) FROM records").fetchone()
else:
    connection.execute(f"CREATE TEMP TABLE named AS SELECT vax_event_id FROM {source}")
    # What a report needs: the rows without a match.
    connection.execute(
        "CREATE TEMP TABLE misses AS SELECT vax_event_id FROM named ANTI JOIN records USING (vax_event_id)"
    ).fetchall()
    (rows,) = connection.execute(
        "DELETE FROM records WHERE vax_event_id IN (SELECT vax_event_id FROM named)"
    ).fetchone()
connection.execute("COMMIT")
seconds = time.perf_counter() - began
if unzip.wait() != 0:
    sys.exit("unzip failed")
connection.close()
print(json.dumps({"seconds": seconds, "rows": rows}))
