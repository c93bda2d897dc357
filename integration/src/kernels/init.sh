#!/bin/busybox sh
# The first process of the machine: loads the modules, mounts the host's root, runs the comparison in it, and switches the machine off.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod "$module" || echo "kernels: $module cannot be loaded"; done
options=trans=virtio,version=9p2000.L,cache=loose,msize=524288,ro
if $b mount -t 9p -o "$options" host /host; then
    for folder in proc sys dev; do $b mount --bind /$folder /host/$folder; done
    $b mkdir -p /dev/shm /dev/pts
    $b mount -t tmpfs shm /dev/shm
    $b mount -t devpts devpts /dev/pts
    $b mount -t tmpfs run /host/run
    # The programs lie where they can be seen when /tmp is a folder of the machine's own, which some guests write to.
    $b mkdir -p /host/run/tmp /host/run/lock /host/run/kernels/programs
    $b mount --bind "/host@PROGRAMS@" /host/run/kernels/programs
    $b mount -t tmpfs tmp /host/tmp
    $b chmod 1777 /host/tmp
    $b ip link set lo up
    export TMPDIR=/run/tmp HOME=/run PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LC_ALL=C
    $b stty -F /dev/ttyS1 raw
    $b chroot /host /bin/sh -c 'cd /run/tmp && exec /run/kernels/programs/kernels --inside @CASES@' > /dev/ttyS1
    echo "kernels: the comparison ended with $?"
else
    echo 'kernels: the root of the host cannot be mounted'
fi
$b poweroff -f
