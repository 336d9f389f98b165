#!/bin/sh
# Stands for QEMU where a test needs one that misbehaves: it opens the same pipes and memory, answers a number of
# commands as QEMU does, and then does what MISBEHAVIOUR says.
[ "$1" = --version ] && exit 0
dir=
for argument in "$@"; do
  case $argument in pipe:*) dir=${argument#pipe:}; dir=${dir%/q} ;; esac
done
head -c 1048576 /dev/zero >"$dir/ram"
exec 3<"$dir/q.in" 4>"$dir/q.out" 5<"$dir/m.in" 6>"$dir/m.out"
echo '{"QMP": {}}' >&6
n=0
while read -r line <&3; do
  n=$((n + 1))
  [ "$n" = 2 ] && { echo OK >&4; read -r _ <&5; echo '{"return": {}}' >&6; continue; }
  [ "$n" -le 2 ] && { echo OK >&4; continue; }
  case $MISBEHAVIOUR in
    nonsense) echo 'segmentation fault' >&4 ;;
    silence) exec sleep 100 ;;
    words) echo 'no more memory' >&2; exit 1 ;;
  esac
done
