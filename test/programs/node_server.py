"""A node with clients of HTTP, a thread, a child, timers, and a file that is being read."""

import os

import http_clients


class Node(http_clients.HttpServer):
    program = "/usr/bin/node"

    def start(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node_program.js")
        self.launch([self.program, script, str(http_clients.PORT), str(http_clients.NUMBERS)])
        self.wait_until(lambda: "ready" in self.status(), "node")


SERVER = Node
