#!/usr/bin/python3
"""Holds dumpctl(1) against the program: it is well-formed, its exit statuses are those of the enum,
and the help of each command names no option that the page does not.

  man_page_test.py DUMPCTL PAGE FAILURE_H
"""

import re
import subprocess
import sys

DUMPCTL, PAGE, FAILURE_H = sys.argv[1:]


def fail(message):
    raise SystemExit("FAIL: " + message)


def main():
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", PAGE], stderr=subprocess.PIPE,
                          text=True)
    if done.returncode != 0 or done.stderr:
        fail("groff: " + done.stderr)

    with open(PAGE) as page:
        text = page.read()
    status = text[text.index(".SH EXIT STATUS"):text.index(".SH FILES")]
    documented = [int(number) for number in re.findall(r"^\.B (\d+)$", status, re.M)]
    with open(FAILURE_H) as header:
        values = [int(number) for number in re.findall(r"^  k\w+ = (\d+),", header.read(), re.M)]
    if len(values) < 18 or documented != [0] + sorted(values):
        fail("exit statuses are %s in the page, %s in the enum" % (documented, values))

    plain = text.replace("\\-", "-")
    compared = 0
    commands = re.findall(r"^  (\w[\w-]*)  ", subprocess.run(
        [DUMPCTL, "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout, re.M)
    for command in commands:
        begin = plain.find(".SH %s\n" % command.upper())
        if begin < 0:
            fail("the page has no section on " + command)
        section = plain[begin:plain.index("\n.SH ", begin + 1)]
        usage = subprocess.run([DUMPCTL, command, "--help"], check=True, stdout=subprocess.PIPE,
                               text=True).stdout
        for option in re.findall(r"^  (-\S+)", usage, re.M):
            for name in option.split(","):
                name = re.match(r"-{1,2}[\w-]+", name).group()
                if name in ("-h", "--help"):
                    continue
                compared += 1
                if not re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(name), section):
                    fail("the section on %s lacks %s" % (command, name))
    if compared < 2:
        fail("the help names no options: %s" % commands)
    print("ok: %d exit statuses, %d options" % (len(documented), compared))


main()
