#!/bin/sh
# A real systemd as the first process of a namespace of its own, which sees this machine's files and
# may write only below one directory.
#   systemd.sh NAME DIRECTORY    run it until it is killed; NAME: of its control groups
#   systemd.sh --clean NAME      remove those when it is gone
set -eu
IDLE='[Unit]
Description=Nothing but systemd itself
DefaultDependencies=no
'

# Where a hierarchy of control groups shows the group that this process is in.
own() {
    kind=$1 place=$2
    case $kind in
        cgroup2) inner=$(sed -n 's/^0:://p' /proc/self/cgroup) ;;
        *) inner=$(awk -F: -v name="$(basename "$place")" \
            '$2 == name || $2 == "name=" name { print $3 }' /proc/self/cgroup) ;;
    esac
    # Of one hierarchy for all no group holds both processes and groups with limits, but the root.
    [ -e "$place/cgroup.controllers" ] && [ "$place" = /sys/fs/cgroup ] && inner=/
    printf '%s\n' "$place${inner%/}"
}

hierarchies() { awk '$3 ~ /^cgroup2?$/ { print $3, $2, $4 }' /proc/self/mounts; }

# The last processes leave their groups a moment after they were killed.
clean() {
    hierarchies | while read -r kind place _; do
        group=$(own "$kind" "$place")/$1
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            [ -d "$group" ] || break
            find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
        done
    done
}

if [ "$1" = --clean ]; then
    clean "$2"
    exit 0
fi

if [ "$1" != --inside ]; then
    hierarchies | while read -r kind place _; do
        group=$(own "$kind" "$place")/$1
        mkdir -p "$group"
        for file in cpuset.cpus cpuset.mems; do
            [ ! -e "$place/cgroup.procs" ] || [ "$kind" = cgroup2 ] || [ ! -e "$group/$file" ] ||
                cat "$group/../$file" >"$group/$file"
        done
        echo $$ >"$group/cgroup.procs"
    done
    exec unshare --pid --fork --kill-child --mount --cgroup --uts --ipc --propagation private \
        sh "$0" --inside "$@"
fi

directory=$3
mount --bind "$directory" "$directory"
mount -o remount,bind,ro /
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount --bind /dev/null /dev/console
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/systemd/system
printf %s "$IDLE" >/run/systemd/system/idle.target
ln -s /dev/null /run/systemd/system/sysinit.target  # nothing of what a boot does to a machine

found=$(hierarchies)
umount -R /sys/fs/cgroup
case $found in
    "cgroup2 /sys/fs/cgroup "*) mount -t cgroup2 none /sys/fs/cgroup ;;
    *)
        mount -t tmpfs -o mode=755 none /sys/fs/cgroup
        echo "$found" | while read -r kind place options; do
            mkdir -p "$place"
            case $kind:${options##*,} in
                cgroup2:*) mount -t cgroup2 none "$place" ;;
                cgroup:name=*) mount -t cgroup -o "none,${options##*,}" none "$place" ;;
                *) mount -t cgroup -o "$(basename "$place")" none "$place" ;;
            esac
        done
        ;;
esac
exec env -i container=hut PATH="$PATH" /lib/systemd/systemd --system --unit=idle.target \
    --log-target=null --show-status=no
