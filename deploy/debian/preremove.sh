#!/bin/sh
# Before the files go. An upgrade restarts it afterwards.
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	deb-systemd-invoke stop greentally.service >/dev/null || true
fi
