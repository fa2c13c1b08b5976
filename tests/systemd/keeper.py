"""A little of systemd, for tests where none runs: starts the gateway again whenever it ends, keeps the sockets that it
gives away (FDSTORE=1), and hands them to the next one as LISTEN_FDS. Usage: keeper.py PROGRAM, in the gateway's folder."""

import array
import os
import socket
import sys

NOTIFY = os.path.abspath("notify.sock")


def start(program, kept):
    """Starts the gateway with the kept sockets at 3, 4, and so on."""
    pid = os.fork()
    if pid:
        return pid
    high = [os.dup2(fd, 500 + number) for number, fd in enumerate(kept)]
    for number, fd in enumerate(high):
        os.dup2(fd, 3 + number, inheritable=True)
    os.closerange(3 + len(kept), 1000)
    os.environ.update(NOTIFY_SOCKET=NOTIFY)
    if kept:
        os.environ.update(LISTEN_FDS=str(len(kept)), LISTEN_PID=str(os.getpid()))
    log = os.open("gateway.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.execv(program, [program, "serve", "--config", "sekimori.toml"])


def main():
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(NOTIFY)
    told.settimeout(0.05)
    kept = []
    is_ready = False
    running = start(sys.argv[1], kept)
    while True:
        ended, _ = os.waitpid(running, os.WNOHANG)
        if ended:
            running, is_ready = start(sys.argv[1], kept), False
        try:
            text, control, _, _ = told.recvmsg(4096, socket.CMSG_SPACE(4 * 16))
        except TimeoutError:
            if is_ready:
                # Nothing more came: it has given away all there is.
                is_ready = False
                with open("keeper.log", "a", encoding="utf-8") as log:
                    log.write(f"ready {running}\n")
            continue
        lines = text.decode().split("\n")
        if "FDSTOREREMOVE=1" in lines:
            for fd in kept:
                os.close(fd)
            kept = []
        if "FDSTORE=1" in lines:
            for _, _, data in control:
                fds = array.array("i")
                fds.frombytes(data[: len(data) - len(data) % 4])
                kept.extend(fds)
        is_ready = is_ready or "READY=1" in lines


main()
