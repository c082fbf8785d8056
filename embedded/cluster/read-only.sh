#!/bin/sh
# Runs a program as a container with readOnlyRootFilesystem runs it: it can write to these folders alone, and to what every container has
# of its own, such as /dev/shm. In a mount namespace of its own.
#
# unshare -m sh read-only.sh FOLDER... -- PROGRAM ARGUMENT...
# -f: a mount point may have a name like a pattern.
set -ef
mount --make-rprivate /
kept=:
while [ "$1" != -- ]; do
  mount --bind "$1" "$1"
  kept=$kept$1:
  shift
done
shift
points=$(cut -d " " -f 5 /proc/self/mountinfo)
for point in $points; do
  # A space stands there as \040, which is three digits; for printf it is \0 and up to three.
  case $point in *\\*) point=$(printf '%b' "$(printf %s "$point" | sed 's/\\/\\0/g')") ;; esac
  case $point in /dev | /dev/* | /proc | /proc/* | /sys | /sys/*) continue ;; esac
  case $kept in *:"$point":*) continue ;; esac
  mount -o remount,bind,ro "$point" || echo "$point can be written to on this machine, and in a pod it cannot" >&2
done
exec "$@"
