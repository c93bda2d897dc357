"""The idea of fsx (Avadis Tevanian, Apple, 1998): random operations on one file, each compared with a model in memory.

    fsx.py FILE LONGEST SEED OPERATIONS

Reads, writes, mapped reads and writes, truncations, holes, syncs, closing and opening again; offsets and sizes of all alignments. Ends with 0, or with
1 and the last operations before the first byte that was wrong."""

import ctypes
import mmap
import os
import random
import sys

PUNCH_HOLE = 3  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
LONGEST_OPERATION = 70000

path, longest, seed, operations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
choose = random.Random(seed)
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(path, os.O_RDWR)
model = bytearray(os.fstat(fd).st_size)
assert 0 < len(model) <= longest
log = []


def fail(why):
    print(f"seed {seed}: {why}", *log[-30:], sep="\n", file=sys.stderr)
    sys.exit(1)


def check(name, start, found):
    wanted = model[start:start + len(found)]
    if found != wanted:
        wrong = [at for at in range(len(found)) if found[at] != wanted[at]]
        first = wrong[0]
        fail(f"{name}: {len(wrong)} bytes differ, the first at {start + first}: {found[first]}, not {wanted[first]}")


def part():
    """A range of the file, not empty, as often as not of whole blocks."""
    start = choose.randrange(len(model))
    size = 1 + choose.randrange(min(LONGEST_OPERATION, len(model) - start))
    if choose.random() < 0.5:
        start -= start % 4096
        size = min(-(-size // 4096) * 4096, len(model) - start)
    return start, size


def data(size):
    kind = choose.random()
    if kind < 0.4:
        return choose.randbytes(size)
    if kind < 0.7:
        return bytes([choose.randrange(256)]) * size
    return (b"all work and no play %d " % choose.randrange(1000) * (size // 20 + 1))[:size]


def mapped(start, size, use):
    base = start - start % mmap.PAGESIZE
    with mmap.mmap(fd, start - base + size, offset=base) as memory:
        return use(memory, start - base)


def read(start, size):
    found = os.pread(fd, size, start)
    if len(found) != size:
        fail(f"a read of {size} at {start} gave {len(found)}")
    check("read", start, found)


def write(start, size):
    new = data(size)
    if os.pwrite(fd, new, start) != size:
        fail(f"a write of {size} at {start} was short")
    model[start:start + size] = new


def map_read(start, size):
    check("mapped read", start, mapped(start, size, lambda memory, at: memory[at:at + size]))


def map_write(start, size):
    new = data(size)

    def use(memory, at):
        memory[at:at + size] = new
        memory.flush()

    mapped(start, size, use)
    model[start:start + size] = new


def punch(start, size):
    if libc.fallocate(fd, PUNCH_HOLE, ctypes.c_long(start), ctypes.c_long(size)) != 0:
        fail(f"punch: errno {ctypes.get_errno()}")
    model[start:start + size] = bytes(size)


def truncate(start, _):
    size = choose.choice([start + 1, choose.randrange(1, longest + 1), longest])
    log[-1] += f" to {size}"
    os.ftruncate(fd, size)
    del model[size:]
    model.extend(bytes(size - len(model)))


def sync(*_):
    choose.choice([os.fsync, os.fdatasync])(fd)


def reopen(*_):
    global fd
    os.close(fd)
    fd = os.open(path, os.O_RDWR)


kinds = {read: 10, write: 10, map_read: 6, map_write: 6, punch: 4, truncate: 3, sync: 1, reopen: 2}
for number in range(operations):
    operation = choose.choices(list(kinds), list(kinds.values()))[0]
    start, size = part()
    log.append(f"{number}: {operation.__name__} {start} +{size} of {len(model)}")
    operation(start, size)
    if os.fstat(fd).st_size != len(model):
        fail(f"the file has {os.fstat(fd).st_size} bytes, not {len(model)}")
reopen()
check("at the end", 0, os.pread(fd, len(model), 0))
