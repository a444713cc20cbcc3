"""A Java server: clients of HTTP on channels that an epoll watches."""

import http_clients


class Java(http_clients.HttpServer):
    program = "/usr/bin/java"

    def start(self):
        # Its classes, where they were compiled.
        (classes,) = self.arguments
        self.launch([self.program, "-XX:-UsePerfData", "-XX:+UseSerialGC", "-Xmx128m", "-cp", classes,
                     "JavaServer", str(http_clients.PORT), str(http_clients.NUMBERS)])
        self.wait_until(lambda: "ready" in self.status(), "java")


SERVER = Java
