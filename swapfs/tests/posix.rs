//! Behaviours that pjdfstest and xfstests look for, as far as they apply to a read-only tree and to swap
//! files of a fixed size, and what stands above a mount: overlayfs, file handles as NFS uses them, idmapped
//! mounts, inotify.
//!
//! Assumes Python; root for what needs it.

mod fixture;

use std::fs;
use std::path::Path;
use std::process::Command;

use fixture::*;

/// What scripts begin with: `says(E, f, *a)` wants the call to fail so.
const START: &str = "
import os, sys, errno, stat, fcntl, mmap, ctypes, struct
from errno import *
M = sys.argv[1]; I = M + '/images/s'; S = M + '/swap'
libc = ctypes.CDLL(None, use_errno=True)
def says(code, f, *a, **k):
    try: f(*a, **k)
    except OSError as e:
        assert e.errno == code, (errno.errorcode[e.errno], errno.errorcode[code], f, a)
        return
    assert False, ('succeeds', f, a)
def c(f, *a):
    r = f(*a)
    if r < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r
";

fn source(mount: &Mount) {
    let source = mount.source();
    fs::create_dir_all(source.join("d/sub")).unwrap();
    fs::write(source.join("d/f"), "0123456789").unwrap();
    fs::hard_link(source.join("d/f"), source.join("d/g")).unwrap();
    std::os::unix::fs::symlink("loop", source.join("loop")).unwrap();
    std::os::unix::fs::symlink("nothing", source.join("dangling")).unwrap();
    std::os::unix::fs::symlink("d/f", source.join("link")).unwrap();
    (0..300).for_each(|n| fs::write(source.join(format!("d/sub/{n:03}")), "x").unwrap());
    fs::set_permissions(source.join("d/sub/000"), std::os::unix::fs::PermissionsExt::from_mode(0o0)).unwrap();
}

fn python(mount: &Mount, script: &str) {
    let output = finish(Command::new("python3").args(["-c", &[START, script].concat()]).arg(mount.point()));
    assert!(output.status.success(), "{}", complaint(&output));
}

fn holds(script: &'static str) {
    let arguments = ["--image", "s=@/source", "--swap", "a:64K"];
    with_mount(&arguments, source, move |mount| python(mount, script));
}

#[test]
fn a_read_only_tree_refuses_each_change_by_erofs() {
    holds("
for p in ('/new', '/d/new', '/d/sub/new'):
    for f in (os.mkdir, os.mkfifo, lambda p: os.mknod(p, stat.S_IFREG), lambda p: os.symlink('x', p), lambda p: os.link(I + '/d/f', p),
              lambda p: os.open(p, os.O_CREAT | os.O_WRONLY), lambda p: os.open(p, os.O_CREAT | os.O_EXCL)):
        says(EROFS, f, I + p)
for f in (os.unlink, lambda p: os.truncate(p, 0), lambda p: os.chmod(p, 0), lambda p: os.chown(p, 1, 1), lambda p: os.utime(p),
          lambda p: os.rename(p, I + '/d/h'), lambda p: os.open(p, os.O_WRONLY), lambda p: os.open(p, os.O_RDWR),
          lambda p: os.open(p, os.O_RDONLY | os.O_TRUNC), lambda p: os.setxattr(p, 'user.x', b'1'), lambda p: os.removexattr(p, 'user.x')):
    says(EROFS, f, I + '/d/f')
says(EROFS, os.rmdir, I + '/d/sub')
# What is wrong with the path counts before that.
says(ENOENT, os.unlink, I + '/none'); says(ENOENT, os.mkdir, I + '/none/x'); says(EEXIST, os.mkdir, I + '/d'); says(EEXIST, os.symlink, 'x', I + '/d/f')
says(ENOTDIR, os.rmdir, I + '/d/f'); says(ENOTDIR, os.mkdir, I + '/d/f/x'); says(EXDEV, os.rename, I + '/d/f', '/tmp/x-' + str(os.getpid()))
assert os.open(I + '/d/f', os.O_CREAT | os.O_RDONLY) >= 0
");
}

#[test]
fn paths_are_walked_as_posix_says() {
    holds("
says(ENAMETOOLONG, os.stat, I + '/' + 'n' * 256); says(ENOENT, os.stat, I + '/' + 'n' * 255)
says(ENAMETOOLONG, os.stat, I + '/d' * 4096)
says(ELOOP, os.stat, I + '/loop'); says(ENOENT, os.stat, I + '/dangling'); assert os.readlink(I + '/dangling') == 'nothing'
says(ENOTDIR, os.stat, I + '/d/f/'); says(ENOTDIR, os.stat, I + '/d/f/x'); says(ENOTDIR, os.listdir, I + '/d/f')
says(ELOOP, os.open, I + '/link', os.O_NOFOLLOW); says(ENOTDIR, os.open, I + '/d/f', os.O_DIRECTORY)
assert os.path.samefile(I + '/link', I + '/d/g') and os.stat(I + '/d/../d/./f').st_nlink == 2
assert os.stat(I + '/d').st_nlink == 3 and os.stat(I + '/d/sub').st_nlink == 2
says(EINVAL, os.readlink, I + '/d/f'); says(EISDIR, os.open, I + '/d', os.O_WRONLY)
d = os.open(I + '/d', os.O_RDONLY); says(EISDIR, os.read, d, 1); assert os.fstat(d).st_ino == os.stat(I + '/d').st_ino
assert os.stat('..', dir_fd=os.open(I + '/d/sub', os.O_RDONLY)).st_ino == os.stat(I + '/d').st_ino
");
}

#[test]
fn access_goes_by_modes_and_is_refused_for_writing() {
    holds(
        "
assert os.access(I + '/d/f', os.R_OK) and not os.access(I + '/d/f', os.X_OK)
says(EROFS, os.open, I + '/d/f', os.O_WRONLY)
assert stat.S_IMODE(os.stat(I + '/d/sub/000').st_mode) == 0
assert stat.S_IMODE(os.stat(S + '/a').st_mode) == 0o600
",
    );
}

#[test]
fn directories_are_read_from_any_place_again() {
    holds(
        "
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
for f in (libc.readdir, libc.closedir, libc.rewinddir): f.argtypes = [ctypes.c_void_p]
libc.telldir.argtypes = [ctypes.c_void_p]; libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
name = lambda e: ctypes.string_at(e + 19)
d = libc.opendir((I + '/d/sub').encode())
all = []
while True:
    at = libc.telldir(d); e = libc.readdir(d)
    if not e: break
    all.append((at, name(e)))
assert len(all) == 302 and len({n for _, n in all}) == 302
for at, n in all[::-7]:
    libc.seekdir(d, at); assert name(libc.readdir(d)) == n
libc.rewinddir(d); assert name(libc.readdir(d)) == all[0][1]
",
    );
}

#[test]
fn files_are_read_sought_and_mapped_to_their_ends() {
    holds("
f = os.open(I + '/d/f', os.O_RDONLY)
assert os.pread(f, 100, 8) == b'89' and os.pread(f, 9, 10) == b'' and os.pread(f, 9, 1 << 40) == b''
assert os.lseek(f, 0, os.SEEK_END) == 10; says(EINVAL, os.lseek, f, -1, os.SEEK_SET)
assert os.lseek(f, 0, os.SEEK_DATA) == 0 and os.lseek(f, 0, os.SEEK_HOLE) == 10; says(ENXIO, os.lseek, f, 10, os.SEEK_DATA)
says(EBADF, os.write, f, b'x'); says(EINVAL, os.ftruncate, f, 0)
m = mmap.mmap(f, 10, prot=mmap.PROT_READ); assert m[:] == b'0123456789'
p = mmap.mmap(f, 10, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE); p[0] = 65; assert m[0] == 48 and os.pread(f, 1, 0) == b'0'
says(EACCES, mmap.mmap, f, 10, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)
assert os.readv(f, [bytearray(3), bytearray(0), bytearray(99)]) == 0
r, w = os.pipe(); assert os.sendfile(w, f, 2, 3) == 3 and os.read(r, 9) == b'234'
assert os.splice(f, w, 4, offset_src=6) == 4 and os.read(r, 9) == b'6789'
os.close(f); says(EBADF, os.read, f, 1)
");
}

#[test]
fn swap_files_are_written_within_their_size_and_nowhere_else() {
    holds("
a = os.open(S + '/a', os.O_RDWR); end = 65536
assert os.pwrite(a, b'x' * 10, end - 4) == 4; says(ENOSPC, os.pwrite, a, b'x', end); says(ENOSPC, os.pwrite, a, b'x', 1 << 40)
b = os.open(S + '/a', os.O_WRONLY | os.O_APPEND); says(ENOSPC, os.write, b, b'x'); says(EBADF, os.read, b, 1)
assert os.pread(a, 9, end - 4) == b'xxxx' and os.pread(a, 9, end) == b'' and os.lseek(a, 0, os.SEEK_END) == end
m = mmap.mmap(a, end); m[4096] = 7; m.flush(); assert os.pread(a, 1, 4096) == b'\\x07'
os.pwrite(a, b'q' * 4096, 8192); assert m[8192:8194] == b'qq'
os.fsync(a); os.fdatasync(a)
says(EPERM, os.truncate, S + '/a', 0); says(EPERM, os.chmod, S + '/a', 0o777); says(EPERM, os.rename, S + '/a', S + '/b'); says(EPERM, os.link, S + '/a', S + '/b')
says(EPERM, os.mkdir, S + '/d'); says(EEXIST, os.open, S + '/a', os.O_CREAT | os.O_EXCL | os.O_RDWR)
n = os.open(S + '/n', os.O_CREAT | os.O_RDWR); assert os.fstat(n).st_size == 0; os.ftruncate(n, 8192); os.pwrite(n, b'n', 0)
os.unlink(S + '/n'); says(ENOENT, os.stat, S + '/n'); assert os.pread(n, 1, 0) == b'n'
assert os.posix_fallocate(a, 0, end) is None
");
}

#[test]
fn locks_are_the_kernels_among_the_mounts_clients() {
    holds(
        "
for p in (I + '/d/f', S + '/a'):
    x, y = os.open(p, os.O_RDONLY), os.open(p, os.O_RDONLY)
    fcntl.flock(x, fcntl.LOCK_EX | fcntl.LOCK_NB); says(EAGAIN, fcntl.flock, y, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(x, fcntl.LOCK_UN); fcntl.flock(y, fcntl.LOCK_SH | fcntl.LOCK_NB)
a = os.open(S + '/a', os.O_RDWR); fcntl.lockf(a, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
pid = os.fork()
if pid == 0:
    try: fcntl.lockf(os.open(S + '/a', os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 6)
    except OSError as e: os._exit(0 if e.errno in (EAGAIN, EACCES) else 1)
    os._exit(2)
assert os.waitpid(pid, 0)[1] == 0
",
    );
}

/// Of what its own clients do; of what happens to a source without the mount there is nothing to tell.
#[test]
fn inotify_tells_of_what_is_done_through_the_mount() {
    holds(
        "
i = c(libc.inotify_init1, os.O_NONBLOCK)
OPEN, ACCESS, CLOSE_NW, MODIFY, CREATE, DELETE = 0x20, 1, 0x10, 2, 0x100, 0x200
for p in (I + '/d', S): c(libc.inotify_add_watch, i, p.encode(), OPEN | ACCESS | CLOSE_NW | MODIFY | CREATE | DELETE)
def events():
    seen = 0
    try:
        data = os.read(i, 65536)
    except BlockingIOError: return 0
    at = 0
    while at < len(data):
        _, mask, _, n = struct.unpack_from('iIII', data, at); seen |= mask; at += 16 + n
    return seen
f = os.open(I + '/d/f', os.O_RDONLY); os.read(f, 3); os.close(f)
assert events() & (OPEN | ACCESS | CLOSE_NW) == OPEN | ACCESS | CLOSE_NW
n = os.open(S + '/n', os.O_CREAT | os.O_RDWR); os.ftruncate(n, 4096); os.write(n, b'x'); os.unlink(S + '/n')
assert events() & (CREATE | MODIFY | DELETE) == CREATE | MODIFY | DELETE
",
    );
}

/// What NFS needs of a file system. FUSE without `FUSE_EXPORT_SUPPORT` opens by handle what the kernel still
/// knows, and else says ESTALE, never another file; so knfsd, which wants `fsid=` for FUSE, serves it with
/// stale handles after the server's cache was dropped.
#[test]
fn file_handles_open_what_is_known_and_are_stale_then() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    holds("
class H(ctypes.Structure): _fields_ = [('bytes', ctypes.c_uint), ('type', ctypes.c_int), ('data', ctypes.c_char * 128)]
def handle(p):
    h, m = H(128), ctypes.c_int()
    c(libc.name_to_handle_at, -100, p.encode(), ctypes.byref(h), ctypes.byref(m), 0); return h
mount = os.open(M, os.O_RDONLY | os.O_DIRECTORY)
h = handle(I + '/d/f')
held = os.open(I + '/d/f', os.O_RDONLY)
f = c(libc.open_by_handle_at, mount, ctypes.byref(h), os.O_RDONLY); assert os.read(f, 3) == b'012'; os.close(f); os.close(held)
for n in range(20):
    open('/proc/sys/vm/drop_caches', 'w').write('2')
    try: f = c(libc.open_by_handle_at, mount, ctypes.byref(h), os.O_RDONLY); assert os.pread(f, 3, 0) == b'012'; os.close(f)
    except OSError as e: assert e.errno == ESTALE, e; break
assert open(I + '/d/f').read(3) == '012'
");
}

/// FUSE without `FUSE_ALLOW_IDMAP` is not idmapped: the call says so, and nothing changes.
#[test]
fn an_idmapped_mount_of_it_is_refused_in_words_of_the_kernel() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    holds(
        "
OPEN_TREE, MOUNT_SETATTR, IDMAP = 428, 442, 0x00100000
pid = os.fork()
if pid == 0:
    c(libc.unshare, 0x10000000); os.kill(os.getpid(), 19); os._exit(0)
os.waitpid(pid, os.WUNTRACED)
for n in ('uid_map', 'gid_map'): open(f'/proc/{pid}/{n}', 'w').write('0 100000 65536')
ns = os.open(f'/proc/{pid}/ns/user', os.O_RDONLY)
tree = c(libc.syscall, OPEN_TREE, -100, M.encode(), 1)
class A(ctypes.Structure): _fields_ = [(n, ctypes.c_uint64) for n in ('set', 'clear', 'propagation', 'userns')]
a = A(IDMAP, 0, 0, ns)
try: says(EINVAL, lambda: c(libc.syscall, MOUNT_SETATTR, tree, b'', 0x1000, ctypes.byref(a), ctypes.sizeof(a)))
finally: os.kill(pid, 9); os.waitpid(pid, 0)
assert os.stat(I + '/d/f').st_uid == os.stat(I + '/d').st_uid
",
    );
}

fn in_namespace(mount: &Mount, script: &str) {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "bash", "-ec", script])
        .current_dir(mount.scratch_path());
    let output = finish(&mut command);
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), complaint(&output));
}

/// As containers have their roots: images below, changes above.
#[test]
fn overlayfs_stands_above_images() {
    if !rustix::process::geteuid().is_root()
        || !Path::new("/sys/module/overlay").exists()
            && !fs::read_to_string("/proc/filesystems").unwrap().contains("overlay")
    {
        eprintln!("skipped: needs root and overlayfs");
        return;
    }
    with_mount(&["--image", "s=@/source"], source, |mount| {
        let script = "mkdir o && mount -t tmpfs none o && mkdir o/upper o/work o/merged && \
            mount -t overlay -o lowerdir=mnt/images/s,upperdir=o/upper,workdir=o/work none o/merged && cd o/merged && \
            [ \"$(cat d/f)\" = 0123456789 ] && echo more >>d/f && [ \"$(tail -c 5 d/f)\" = more ] && mv d/sub/001 d/sub/moved && \
            rm d/sub/002 && rm -r d/g && mkdir new && chmod 700 d && ln -sf d/f link && [ \"$(ls d/sub | wc -l)\" = 299 ] && cd ../.. && \
            [ \"$(cat mnt/images/s/d/f)\" = 0123456789 ] && [ \"$(ls mnt/images/s/d/sub | wc -l)\" = 300 ] && umount o/merged && umount o";
        in_namespace(mount, script);
    });
}

#[test]
fn private_namespaces_and_bind_mounts_see_the_same_tree() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    with_mount(&["--image", "s=@/source", "--swap", "a:64K"], source, |mount| {
        let script = "mkdir b && mount --bind mnt/images/s/d b && [ \"$(cat b/f)\" = 0123456789 ] && mount -o remount,bind,noexec b && \
            [ \"$(stat -c %i b/f)\" = \"$(stat -c %i mnt/images/s/d/f)\" ] && echo x | dd of=mnt/swap/a conv=notrunc status=none && umount b && rmdir b && \
            mkdir m && mount --move mnt m && [ \"$(head -c 1 m/swap/a)\" = x ] && umount m && rmdir m";
        in_namespace(mount, script);
        assert_eq!(fs::read(mount.at("swap/a")).unwrap()[0], b'x');
    });
}
