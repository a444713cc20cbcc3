"""A PostgreSQL with clients outside and one inside of the dump, in the midst of transactions."""

import os

import server
from postgres_client import PostgresClient
from server import expect_equal

PORT = 5432
BIN = "/usr/lib/postgresql/15/bin"
ROWS = 3000
SETTINGS = """
listen_addresses = '127.0.0.1,::1'
port = 5432
unix_socket_directories = '{work}'
shared_buffers = 16MB
fsync = off
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
"""
# The server, and a psql that talks to it over a unix socket and is told by a fifo what to say.
SCRIPT = """
{bin}/postgres -D data &
exec 3<>statements
while [ ! -e asked ]; do sleep 0.02; done
{bin}/psql -X -q -A -t -h {work} -U postgres <&3 >said 2>&1
kill -INT $!
wait $!
"""


class Postgres(server.Server):
    program = f"{BIN}/postgres"
    options = ("--tcp-established", "--network-lock=nftables")

    def start(self):
        self._run([f"{BIN}/initdb", "-D", "data", "--no-sync", "--auth=trust", "--locale=C"])
        with open(self.path("data/postgresql.conf"), "a") as settings:
            settings.write(SETTINGS.format(work=self.work_dir))
        os.mkfifo(self.path("statements"))
        os.chmod(self.path("statements"), 0o666)
        self.launch([*self._user(), "/bin/sh", "-c", SCRIPT.format(bin=BIN, work=self.work_dir)])
        ready = "database system is ready to accept connections"
        self.wait_until(lambda: ready in self.status(), "the server")

    @staticmethod
    def _user():
        # It does not run as root.
        return ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def _run(self, argv):
        self.launch([*self._user(), *argv])
        self.expect_end()

    def _say(self, statement):
        """To psql."""
        with open(self.path("statements"), "w") as statements:
            statements.write(statement + "\n")

    def begin(self):
        self.looker = PostgresClient("127.0.0.1", PORT)
        self.writer = PostgresClient("127.0.0.1", PORT)
        self.writer.ask("create table rows (number int primary key, text text)")
        self.writer.ask(f"insert into rows select i, 'row ' || i from generate_series(1, {ROWS}) i")
        self.started = self.writer.ask("select pg_postmaster_start_time()")
        self.writer.ask("begin; update rows set text = 'new' where number = 7")

        self.waiter = PostgresClient("::1", PORT)
        self.waiter.ask("create temp table mine as select i from generate_series(1, 50) i")
        self.waiter.ask("prepare twice(int) as select $1 * 2; set application_name = 'waiter'")
        self.waiter.ask("select pg_advisory_lock(42); listen news")
        self.waiter.send("update rows set text = text || 'er' where number = 7 returning text")

        waiting = "select count(*) from pg_locks where not granted"
        self.wait_until(lambda: self.looker.ask(waiting) == [["1"]], "who waits for a lock")

        self.write("asked", "")
        self._say("begin; insert into rows values (-1, 'by psql'); select 'in it';")
        self.wait_until(lambda: "in it" in self._said(), "psql")

        # By several processes at once, which have memory in common for it; for a second.
        self.counter = PostgresClient("127.0.0.1", PORT)
        self.counter.send("select count(*) from rows where pg_sleep(0.001) is not null")
        self.wait_until(self._is_parallel, "a parallel query")

    def _is_parallel(self):
        workers = "select count(*) from pg_stat_activity where backend_type = 'parallel worker'"
        return self.looker.ask(workers) != [["0"]]

    def _said(self):
        return self.read("said") if os.path.exists(self.path("said")) else ""

    def meanwhile(self):
        self.writer.send("insert into rows values (-2, 'meanwhile') returning text")

    def check(self):
        expect_equal([["meanwhile"]], self.writer.result(), "what was asked meanwhile")
        expect_equal([[str(ROWS)]], self.counter.result(), "the parallel query")
        self.writer.ask("commit")
        expect_equal([["newer"]], self.waiter.result(), "who waited for a lock")
        expect_equal([["1275"]], self.waiter.ask("select sum(i) from mine"), "its table")
        expect_equal([["84"]], self.waiter.ask("execute twice(42)"), "its statement")
        expect_equal([["waiter"]], self.waiter.ask("show application_name"), "its setting")
        expect_equal([["f"]], self.looker.ask("select pg_try_advisory_lock(42)"), "its lock")
        self.looker.ask("notify news, 'of the day'")
        self.waiter.ask("select 1")
        expect_equal([("news", "of the day")], self.waiter.notices, "the news")

        rows = "select count(*) from rows where number < 0"
        expect_equal([["1"]], self.looker.ask(rows), "the rows before psql's commit")
        self._say("insert into rows values (-3, 'by psql, too'); commit; select 'done';")
        self.wait_until(lambda: "done" in self._said(), "psql")
        later = PostgresClient("::1", PORT)
        expect_equal([["3"]], later.ask(rows), "the rows behind psql's commit")
        expect_equal(self.started, later.ask("select pg_postmaster_start_time()"), "its start")
        later.ask("checkpoint")

    def end(self):
        self._say("\\q")
        self.expect_end()


SERVER = Postgres
