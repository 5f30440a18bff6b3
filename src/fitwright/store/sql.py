"""The one SQL text of the trial store: plain enough for SQLite, PostgreSQL and MySQL.

Tables carry a prefix, so that a database may hold Optuna's beside them. Every statement
names the run, so that a database may hold many; a run's own file uses the empty name.
Parameters are written ``:name``, as both `sqlite3` and SQLAlchemy's `text` read them.
"""

from __future__ import annotations

RUNS, TRIALS, CLAIMS = "fitwright_runs", "fitwright_trials", "fitwright_claims"
HELD, FREE, DONE = "held", "free", "done"

SCHEMA = (
    f"""CREATE TABLE IF NOT EXISTS {RUNS} (
        run VARCHAR(190) NOT NULL PRIMARY KEY,
        num_writes INTEGER NOT NULL
    )""",
    f"""CREATE TABLE IF NOT EXISTS {TRIALS} (
        run VARCHAR(190) NOT NULL,
        number INTEGER NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (run, number)
    )""",
    f"""CREATE TABLE IF NOT EXISTS {CLAIMS} (
        run VARCHAR(190) NOT NULL,
        candidate VARCHAR(500) NOT NULL,
        state VARCHAR(8) NOT NULL,
        worker VARCHAR(190) NOT NULL,
        process VARCHAR(190) NOT NULL,
        attempt INTEGER NOT NULL,
        beats INTEGER NOT NULL,
        lease_s DOUBLE PRECISION NOT NULL,
        number INTEGER,
        PRIMARY KEY (run, candidate)
    )""",
)

# Every write begins with this one: the row is locked until the transaction ends, so the
# writers of a run come one after another whatever the isolation level of the database.
LOCK_RUN = f"UPDATE {RUNS} SET num_writes = num_writes + 1 WHERE run = :run"
ADD_RUN = f"INSERT INTO {RUNS} (run, num_writes) VALUES (:run, 0)"
RUN = f"SELECT num_writes FROM {RUNS} WHERE run = :run"

NUMBERS = f"SELECT number FROM {TRIALS} WHERE run = :run ORDER BY number"
DOCUMENTS = f"""SELECT number, document FROM {TRIALS}
    WHERE run = :run AND number >= :first ORDER BY number"""
DOCUMENT = f"SELECT document FROM {TRIALS} WHERE run = :run AND number = :number"
LAST_NUMBER = f"SELECT COALESCE(MAX(number), 0) FROM {TRIALS} WHERE run = :run"
ADD_TRIAL = f"INSERT INTO {TRIALS} (run, number, document) VALUES (:run, :number, :document)"

_LEASE = "candidate, worker, process, attempt, beats, lease_s"
CLAIM = f"SELECT state, number, {_LEASE} FROM {CLAIMS} WHERE run = :run AND candidate = :candidate"
HELD_CLAIMS = f"""SELECT {_LEASE} FROM {CLAIMS}
    WHERE run = :run AND state = '{HELD}' ORDER BY candidate"""
ADD_CLAIM = f"""INSERT INTO {CLAIMS}
    (run, candidate, state, worker, process, attempt, beats, lease_s)
    VALUES (:run, :candidate, '{HELD}', :worker, :process, 1, 0, :lease_s)"""
TAKE_CLAIM = f"""UPDATE {CLAIMS} SET state = '{HELD}', worker = :worker, process = :process,
    attempt = attempt + 1, beats = beats + 1, lease_s = :lease_s
    WHERE run = :run AND candidate = :candidate"""
_MINE = f"""WHERE run = :run AND candidate = :candidate AND worker = :worker
    AND attempt = :attempt AND state = '{HELD}'"""
RENEW_CLAIM = f"UPDATE {CLAIMS} SET beats = beats + 1 {_MINE}"
FREE_CLAIM = f"UPDATE {CLAIMS} SET state = '{FREE}', attempt = attempt - 1 {_MINE}"
END_CLAIM = f"""UPDATE {CLAIMS} SET state = '{DONE}', number = :number
    WHERE run = :run AND candidate = :candidate"""
