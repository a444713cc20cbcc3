"""An nginx of two workers: connections that are kept alive, a download and an upload under way."""

import hashlib
import http.client
import os
import random
import signal
import socket

import server
from server import expect_equal

PORT = 8080
CONNECTIONS = 20
UPLOADED = 1 << 20
CONFIGURATION = """
daemon off;
user www-data;
worker_processes 2;
pid nginx.pid;
error_log error.log notice;
events {{ accept_mutex on; worker_connections 200; }}
http {{
  access_log access.log;
  client_body_temp_path bodies;
  client_body_buffer_size 1k;
  client_max_body_size 0;
  client_body_timeout 60s;
  proxy_temp_path proxied;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  limit_conn_zone $binary_remote_addr zone=downloads:1m;
  proxy_cache_path cache keys_zone=cached:1m;
  open_file_cache max=10;
  upstream itself {{ server unix:{work}/behind; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    listen [::1]:{port};
    root {work};
    keepalive_timeout 60s;
    location /who {{ add_header Worker $pid; return 200 "connection $connection_requests"; }}
    location /slow {{ limit_conn downloads 1; }}
    location /upload {{ proxy_pass http://unix:{work}/taker; }}
    location /cached {{
      proxy_cache cached; proxy_cache_valid 1h; add_header Cached $upstream_cache_status;
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://itself;
    }}
  }}
  server {{
    listen unix:{work}/behind;
    location / {{ return 200 "$request_method of $request_length"; }}
  }}
}}
"""


class Nginx(server.Server):
    program = "/usr/sbin/nginx"
    options = ("--tcp-established", "--network-lock=nftables")

    def start(self):
        self.write("nginx.conf", CONFIGURATION.format(work=self.work_dir, port=PORT))
        self.data = random.Random(8).randbytes(8 << 20)
        with open(self.path("slow"), "wb") as slow:
            slow.write(self.data)
        self.launch([self.program, "-p", self.work_dir, "-c", self.path("nginx.conf"),
                     "-e", self.path("early.log")])
        self.wait_until(self._listens, "nginx")

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", PORT)) == 0

    def _connect(self, i):
        connection = http.client.HTTPConnection(("127.0.0.1", "::1")[i % 2], PORT, timeout=20)
        connection.connect()
        return connection

    def _ask(self, connection, path, **arguments):
        connection.request(arguments.pop("method", "GET"), path, **arguments)
        answer = connection.getresponse()
        return answer, answer.read().decode()

    def begin(self):
        self.kept = [self._connect(i) for i in range(CONNECTIONS)]
        self.workers = []
        for connection in self.kept:
            answer, text = self._ask(connection, "/who")
            expect_equal((200, "connection 1"), (answer.status, text), "the first answer")
            self.workers.append(answer.headers["Worker"])
        answer, _ = self._ask(self.kept[0], "/cached")
        expect_equal("MISS", answer.headers["Cached"], "what is not in the cache yet")
        # It is read no further than this: its worker waits.
        self.download = http.client.HTTPConnection("127.0.0.1", PORT)
        self.download.sock = server.connect_to_read_little(("127.0.0.1", PORT))
        self.download.request("GET", "/slow")
        self.answer = self.download.getresponse()
        self.downloaded = self.answer.read(100_000)
        self.taker = socket.socket(socket.AF_UNIX)
        self.taker.bind(self.path("taker"))
        self.taker.listen()
        self.taker.settimeout(20)
        os.chmod(self.path("taker"), 0o777)
        # More than it keeps in memory: it is in a file that has no name.
        self.upload = self._connect(1)
        self.upload.putrequest("POST", "/upload")
        self.upload.putheader("Content-Length", str(UPLOADED))
        self.upload.endheaders()
        self.upload.send(self.data[: UPLOADED // 2])
        self.wait_until(self._is_taken, "what is uploaded")

    def _is_taken(self):
        """Of what was sent its worker has no more than a buffer or two; the rest is in the file."""
        files = []
        for pid in self.tree():
            for number in os.listdir(f"/proc/{pid}/fd"):
                file = f"/proc/{pid}/fd/{number}"
                try:
                    if os.readlink(file).startswith(self.path("bodies/")):
                        files.append(os.stat(file).st_size)
                except FileNotFoundError:  # closed meanwhile
                    continue
        return any(size >= UPLOADED // 2 - 4096 for size in files)

    def meanwhile(self):
        # Nobody answers yet; nobody loses it, either.
        self.kept[1].request("GET", "/who")
        self.upload.send(self.data[:10_000])

    def check(self):
        expect_equal("connection 2", self.kept[1].getresponse().read().decode(),
                     "an answer to what was asked meanwhile")
        answer, _ = self._ask(self.kept[2], "/slow")
        expect_equal(503, answer.status, "the limit of downloads, which workers share")
        for i, connection in enumerate(self.kept[3:], 3):
            answer, text = self._ask(connection, "/who")
            expect_equal((200, "connection 2", self.workers[i]),
                         (answer.status, text, answer.headers["Worker"]), "a connection")
        answer, _ = self._ask(self.kept[4], "/cached")
        expect_equal("HIT", answer.headers["Cached"], "what is in the cache")
        self._check_upload()
        self.downloaded += self.answer.read()
        expect_equal(hashlib.sha256(self.data).digest(),
                     hashlib.sha256(self.downloaded).digest(), "a download")
        asked = 2 * CONNECTIONS - 2
        self.wait_until(lambda: self.read("access.log").count("/who") == asked, "lines of the log")
        self._check_reload()

    def _check_upload(self):
        """It is passed on once it is whole."""
        first, second = self.data[: UPLOADED // 2], self.data[10_000 : UPLOADED - UPLOADED // 2]
        self.upload.send(second)
        taken, _ = self.taker.accept()
        with taken, taken.makefile("rwb") as stream:
            http.client.parse_headers(stream)
            body = stream.read(UPLOADED)
            stream.write(b"HTTP/1.0 201 Taken\r\n\r\n")
        expect_equal(201, self.upload.getresponse().status, "an upload")
        expect_equal(True, body == first + self.data[:10_000] + second, "that the upload is whole")

    def _check_reload(self):
        """The master still is one: of new workers, of old ones to be ended."""
        os.kill(self.pid, signal.SIGHUP)
        old = set(self.workers)
        self.wait_until(lambda: not old & {str(pid) for pid in self.tree()}, "old workers' end")
        answer, text = self._ask(self._connect(0), "/who")
        expect_equal((200, "connection 1"), (answer.status, text), "a new connection")

    def end(self):
        os.kill(self.pid, signal.SIGQUIT)
        self.expect_end()
        expect_equal(False, os.path.exists(self.path("nginx.pid")), "that its pid file is left")


SERVER = Nginx
