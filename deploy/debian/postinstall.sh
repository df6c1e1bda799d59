#!/bin/sh
# After unpacking. What debhelper would write for a service with a user of its own.
set -e
case $1 in configure | abort-upgrade | abort-deconfigure | abort-remove) ;; *) exit 0 ;; esac

systemd-sysusers greentally.conf
own() { # unless the administrator has said otherwise, see dpkg-statoverride(1)
	dpkg-statoverride --list "$3" >/dev/null || { chown "$1" "$3" && chmod "$2" "$3"; }
}
own greentally:greentally 0755 /etc/greentally/communities # where it writes when a device is adopted
own root:greentally 2750 /etc/greentally/secrets           # so that a file made there is its group's

deb-systemd-helper unmask greentally.service >/dev/null || true
if deb-systemd-helper --quiet was-enabled greentally.service; then
	deb-systemd-helper enable greentally.service >/dev/null || true
else
	deb-systemd-helper update-state greentally.service >/dev/null || true
fi
if [ -d /run/systemd/system ]; then
	systemctl --system daemon-reload >/dev/null || true
	action=start
	[ -z "$2" ] || action=restart
	deb-systemd-invoke $action greentally.service >/dev/null || true
fi
