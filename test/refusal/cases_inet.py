"""Internet sockets that no restore brings back as they are, each refused for what is wrong with it."""

from registry import case, case_each

# What the witness holds, and words of what is said of it.
_REFUSED = {
    "pending": ("1 connections wait to be accepted", "--skip-in-flight"),
    "connected": ("it is connected", "close it"),
    "closed": ("it was connected", "close it"),
    "option": ("TCP_USER_TIMEOUT", "put them back"),
    "option6": ("IPV6_TCLASS", "put them back"),
    "unowned_address": ("IP_FREEBIND", "add the address"),
    "namespace": ("another network namespace", "close it"),
    "error": ("an error waits to be told", "read from it"),
    "group": ("has joined a multicast group", "leave the group"),
    "group6": ("has joined a multicast group", "leave the group"),
    "datagram": ("datagrams wait in it", "--skip-in-flight"),
    "corked": ("UDP_CORK", "send it"),
    "begun": ("MSG_MORE", "send it"),
}


@case_each(sorted(_REFUSED))
def internet_socket(scene, what):
    witness = scene.witness("poll", f"inet_{what}")
    # Twice: what the first has looked at is as it was.
    for _ in range(2):
        result = scene.dump(witness.pid)
        scene.expect_failure(result, "Refused", "(socket, ", *_REFUSED[what])
        scene.expect_images({})
    witness.expect_unharmed()


@case_each(["pending", "datagram"])
def internet_socket_without_what_is_in_flight(scene, what):
    witness = scene.witness("poll", f"inet_{what}")
    scene.expect_success(scene.dump(witness.pid, "-R", "--skip-in-flight"))
    scene.expect_whole_dump()
    witness.expect_unharmed()
    scene.expect_failure(scene.dump(witness.pid, "--no-skip-in-flight"), "Refused", "wait")
