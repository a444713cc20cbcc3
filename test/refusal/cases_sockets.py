"""Unix sockets that no restore brings back as they are, each refused for what is wrong with it."""

from registry import case, case_each

# What the witness holds, and words of what is said of it.
_REFUSED = {
    "option": ("SO_TIMESTAMP", "put them back"),
    "peek_offset": ("SO_PEEK_OFF", "put them back"),
    "urgent": ("urgent data (MSG_OOB)", "read it"),
    "error": ("an error of its connection", "read from it"),
    "credentials": ("tells who has sent it (SO_PASSCRED)", "read it"),
    "two_senders": ("another sender", "read it"),
    "timer_queued": ("what waits in a socket's queue (timerfd, ", "receive it"),
    "watches_queued": ("what waits in a socket's queue (inotify, ", "receive it"),
    "sender_queued": ("waits in the queue of a socket itself", "read it"),
    "pending_data": ("has sent on a connection that nobody has accepted", "accept it"),
    "pending_closed": ("is closed on the other side", "accept it"),
    "pending_outside": ("which is not part of the dump", "accept it"),
    "external_stream": ("which is not part of the dump", "dump both ends in one tree"),
    "external_datagrams": ("which is not part of the dump", "add --ext-unix-sk (-x)"),
    "unnamed_peer": ("which has no name", "close it"),
    "connected_peer": ("connected to another one since", "close it"),
    "renamed": ("does not lead to its file", "back under that name"),
}


@case_each(sorted(_REFUSED))
def unix_socket(scene, what):
    witness = scene.witness("poll", f"socket_{what}")
    # Twice: what the first has looked at is as it was.
    for _ in range(2):
        result = scene.dump(witness.pid)
        scene.expect_failure(result, "Refused", "(socket" if "queued" not in what else "(",
                             *_REFUSED[what])
        scene.expect_images({})
    witness.expect_unharmed()


@case
def unix_socket_of_others_by_its_name(scene):
    witness = scene.witness("poll", "socket_external_datagrams")
    scene.expect_success(scene.dump(witness.pid, "-R", "--ext-unix-sk"))
    scene.expect_whole_dump()
    witness.expect_unharmed()
    scene.expect_success(scene.dump(witness.pid, "-R", "-x"))


@case
def unix_stream_of_others_even_so(scene):
    witness = scene.witness("poll", "socket_external_stream")
    result = scene.dump(witness.pid, "-x")
    scene.expect_failure(result, "Refused", "which is not part of the dump", "dump both ends")
    scene.expect_images({})
    witness.expect_unharmed()
