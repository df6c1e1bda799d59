#!/bin/sh
# After the files are gone. Readings, records and the communities' files cannot be had again: a purge keeps them, and
# says so.
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = purge ]; then
	if command -v deb-systemd-helper >/dev/null; then
		deb-systemd-helper purge greentally.service >/dev/null || true
		deb-systemd-helper unmask greentally.service >/dev/null || true
	fi
	for folder in /var/lib/greentally /etc/greentally/communities /etc/greentally/secrets; do
		if [ -d "$folder" ] && [ -n "$(ls -A "$folder")" ]; then
			echo "kept: $folder. If nobody needs it any more: rm -r $folder" >&2
		fi
	done
fi
