"""A block store whose power can be cut: one file in a FUSE file system, served from memory by a process of its own.

A loop device lies on the file. What the file system above writes to the device arrives here as WRITE, and what it does to
empty the device's cache arrives as FSYNC; the file is open for direct I/O, so nothing is held back on the way. The process
answers one request after the other, and keeps two images: what a device without a cache would hold, and what would be left
of one with a volatile cache, apart from the writes since the last FSYNC, which it keeps one by one.

A cut is a `fork` of this process between two requests (or within a write that was not answered yet). The memory of the
forked process is, to the byte, what the device held at that instant, while this one serves on. The forked process loses
of the cached writes what the model of the device lets it lose, writes the image to a file, and ends.

The protocol of the kernel is spoken directly, so that nothing has to be installed.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import random
import select
import signal
import socket
import stat
import struct
import termios
import time

LIBC = ctypes.CDLL(None, use_errno=True)

SECTOR = 512
# The superblock of ext4 is two sectors with a checksum over both, is written in place, and ext4 does not mount without it:
# a file system that cannot do with less than a device that writes these two together. Nothing else is spared.
SUPERBLOCK = range(1024, 2048)
CHUNK = 64 * 1024
MAX_WRITE = 1024 * 1024
REQUEST_BYTES = MAX_WRITE + 64 * 1024

ROOT, IMAGE = 1, 2
NAME = b"image"

LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS = 1, 2, 3, 4, 14, 15, 16, 17
RELEASE, FSYNC, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR = 18, 20, 25, 26, 27, 28, 29
INTERRUPT, DESTROY, BATCH_FORGET = 36, 38, 42

ASYNC_READ, BIG_WRITES, ASYNC_DIO, MAX_PAGES = 1 << 0, 1 << 5, 1 << 15, 1 << 22
OPEN_DIRECT_IO = 1 << 0

PR_SET_IO_FLUSHER = 57

# A device that lies about flushes gets rid of its oldest writes when there are more than these.
LYING_CACHE = 64


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount_fuse(directory):
    """Mounts an empty connection on a directory; gives the kernel's end of it."""
    fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,max_read={MAX_WRITE}".encode()
    nosuid_nodev = 2 | 4
    check(LIBC.mount(b"power", os.fsencode(directory), b"fuse", nosuid_nodev, options), "mount fuse")
    return fuse


class Cut:
    """An order to cut the power when something has happened `count` times: `now`, a `write`, a `flush`, or `flushed`."""

    def __init__(self, order):
        self.when, self.count = order["when"], order["count"]
        self.image, self.history = order["image"], order["history"]
        self.seed = order["seed"]
        self.deadline = time.monotonic() + order["patience"]

    def happens(self, event):
        if event != self.when:
            return False
        self.count -= 1
        return self.count <= 0


class Device:
    def __init__(self, fuse, control, heard, model, image, base_history):
        self.fuse, self.control, self.heard, self.model = fuse, control, heard, model
        self.size = os.stat(image).st_size
        self.current = mmap.mmap(-1, self.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.durable = mmap.mmap(-1, self.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.cached = []
        self.touched = bytearray(-(-self.size // CHUNK))
        self.load(image)
        self.history = bytearray(base_history)
        self.cut = None
        self.writers = []
        self.counts = {"writes": 0, "flushes": 0}

    def load(self, path):
        with open(path, "rb") as file:
            end = 0
            while True:
                try:
                    start = os.lseek(file.fileno(), end, os.SEEK_DATA)
                except OSError:
                    return
                end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                for part in range(start, end, MAX_WRITE):
                    data = os.pread(file.fileno(), min(MAX_WRITE, end - part), part)
                    self.current[part : part + len(data)] = data
                    self.durable[part : part + len(data)] = data
                    self.touch(part, len(data))

    # The life of the process.

    def serve(self):
        poll = select.poll()
        poll.register(self.fuse, select.POLLIN)
        poll.register(self.control, select.POLLIN)
        poll.register(self.heard, select.POLLIN)
        is_up = True
        while True:
            if self.cut and time.monotonic() > self.cut.deadline:
                self.take_cut("now")
            ready = dict(poll.poll(100))
            if self.control.fileno() in ready:
                message = self.control.recv(65536)
                if not message:
                    return
                order = json.loads(message)
                if "quit" in order:
                    self.say_goodbye()
                    return
                self.cut = Cut(order)
                if self.cut.when == "now":
                    self.take_cut("now")
            if self.heard in ready:
                self.listen()
                if ready[self.heard] & select.POLLHUP:
                    self.listen()
                    poll.unregister(self.heard)
            if self.fuse in ready and is_up:
                is_up = self.answer_one()
                if not is_up:
                    poll.unregister(self.fuse)

    def say_goodbye(self):
        failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in self.writers)
        self.control.send(json.dumps({"failed": failed, **self.counts}).encode())

    def listen(self):
        """Takes all that the writer has said up to now."""
        waiting = struct.unpack("i", fcntl.ioctl(self.heard, termios.FIONREAD, b"\0" * 4))[0]
        while waiting > 0:
            said = os.read(self.heard, waiting)
            self.history += said
            waiting -= len(said)

    # Cuts.

    def take_cut(self, how, under_way=None):
        """The instant. What was said before it is what counts as acknowledged."""
        order, self.cut = self.cut, None
        self.listen()
        certain = len(self.history)
        pid = os.fork()
        if pid == 0:
            self.become_the_cut_device(order, under_way)
        # What was under way at the instant had been announced by now.
        self.listen()
        self.writers.append(pid)
        with open(order.history, "wb") as file:
            file.write(self.history[:certain] + b"\n@cut\n" + self.history[certain:])
        self.control.send(json.dumps({"cut": how, "cached": len(self.cached)}).encode())

    def become_the_cut_device(self, order, under_way):
        status = 1
        try:
            os.close(self.fuse)
            self.control.close()
            os.close(self.heard)
            chance = random.Random(order.seed)
            image = self.current if self.model == "none" else self.lose(chance)
            if under_way:
                # Not answered: any of its sectors may be there, without a cache too.
                apply_torn(image, *under_way, chance)
                self.touch(under_way[0], len(under_way[1]))
            with open(order.image, "wb") as file:
                file.truncate(self.size)
                for number, is_touched in enumerate(self.touched):
                    if is_touched:
                        start = number * CHUNK
                        file.seek(start)
                        file.write(image[start : start + CHUNK])
                file.truncate(self.size)
            status = 0
        finally:
            os._exit(status)

    def lose(self, chance):
        """The image after the volatile cache lost its power."""
        kept_share = chance.choice([0.0, 0.1, 0.5, 0.5, 0.9, 1.0])
        torn_share = chance.choice([0.0, 0.3, 1.0])
        cached = list(self.cached)
        chance.shuffle(cached)
        for offset, data in cached:
            if chance.random() < torn_share:
                apply_torn(self.durable, offset, data, chance, kept_share)
            elif chance.random() < kept_share:
                self.durable[offset : offset + len(data)] = data
        return self.durable

    # The device.

    def touch(self, offset, length):
        for number in range(offset // CHUNK, -(-(offset + length) // CHUNK)):
            self.touched[number] = 1

    def write(self, offset, data):
        if self.cut and self.cut.happens("write"):
            self.take_cut("write", (offset, data))
        self.counts["writes"] += 1
        self.current[offset : offset + len(data)] = data
        self.touch(offset, len(data))
        self.cached.append((offset, data))
        if self.model == "lying" and len(self.cached) > LYING_CACHE:
            self.destage(1)

    def flush(self):
        if self.cut and self.cut.happens("flush"):
            self.take_cut("flush")
        self.counts["flushes"] += 1
        if self.model != "lying":
            self.destage(len(self.cached))

    def destage(self, count):
        for offset, data in self.cached[:count]:
            self.durable[offset : offset + len(data)] = data
        del self.cached[:count]

    # The protocol.

    def reply(self, unique, payload=b"", error=0):
        os.write(self.fuse, struct.pack("<IiQ", 16 + len(payload), -error, unique) + payload)

    def attributes(self, node):
        is_image = node == IMAGE
        mode = stat.S_IFREG | 0o600 if is_image else stat.S_IFDIR | 0o700
        size = self.size if is_image else 0
        return struct.pack("<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def answer_one(self):
        """Answers the next request. False when there will be no more."""
        try:
            request = os.read(self.fuse, REQUEST_BYTES)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                return True
            return False
        _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
        body = memoryview(request)[40:]
        if opcode == WRITE:
            _, offset, length = struct.unpack_from("<QQI", body)
            self.write(offset, bytes(body[40 : 40 + length]))
            self.reply(unique, struct.pack("<II", length, 0))
        elif opcode == READ:
            _, offset, length = struct.unpack_from("<QQI", body)
            self.reply(unique, self.current[offset : min(offset + length, self.size)])
        elif opcode == FSYNC:
            self.flush()
            self.reply(unique)
            if self.cut and self.cut.happens("flushed"):
                self.take_cut("flushed")
        elif opcode == INIT:
            _, minor, readahead, flags = struct.unpack_from("<4I", body)
            flags &= ASYNC_READ | BIG_WRITES | ASYNC_DIO | MAX_PAGES
            answer = struct.pack("<4I2H2I2H", 7, min(minor, 31), readahead, flags, 64, 48, MAX_WRITE, 1, MAX_WRITE // 4096, 0)
            self.reply(unique, answer.ljust(64, b"\0"))
        elif opcode == LOOKUP:
            if node == ROOT and bytes(body).rstrip(b"\0") == NAME:
                self.reply(unique, struct.pack("<4Q2I", IMAGE, 0, 3600, 3600, 0, 0) + self.attributes(IMAGE))
            else:
                self.reply(unique, error=errno.ENOENT)
        elif opcode in (GETATTR, SETATTR):
            self.reply(unique, struct.pack("<QII", 3600, 0, 0) + self.attributes(node))
        elif opcode in (OPEN, OPENDIR):
            self.reply(unique, struct.pack("<QII", 0, OPEN_DIRECT_IO if opcode == OPEN else 0, 0))
        elif opcode == STATFS:
            self.reply(unique, struct.pack("<5Q4I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0).ljust(80, b"\0"))
        elif opcode in (RELEASE, RELEASEDIR, FLUSH, READDIR):
            self.reply(unique)
        elif opcode == DESTROY:
            self.reply(unique)
            return False
        elif opcode not in (FORGET, BATCH_FORGET, INTERRUPT):
            self.reply(unique, error=errno.ENOSYS)
        return True


def apply_torn(image, offset, data, chance, kept_share=0.5):
    """Writes some of the sectors: a beginning, or any."""
    starts = [
        start for start in range(0, len(data), SECTOR) if not SUPERBLOCK.start < offset + start < SUPERBLOCK.stop
    ]
    parts = list(zip(starts, [*starts[1:], len(data)]))
    if chance.random() < 0.5:
        kept = parts[: chance.randint(0, len(parts))]
    else:
        kept = [part for part in parts if chance.random() < kept_share]
    for start, end in kept:
        image[offset + start : offset + end] = data[start:end]


def start(fuse, heard, model, image, base_history):
    """Starts the process of a device. Gives its id, and the socket on which it takes orders."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid:
        theirs.close()
        return pid, ours
    status = 1
    try:
        # It must outlive an interrupted parent, which unmounts what lies on it; it ends when the parent is gone.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        ours.close()
        LIBC.prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0)
        Device(fuse, theirs, heard, model, image, base_history).serve()
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)
