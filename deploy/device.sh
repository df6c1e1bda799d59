#!/bin/sh
# Gives a device, such as jiayuan/bin-1, or a gateway, such as lora-gateway, a random password at mosquitto, and prints
# it. Who has one gets a new one.
set -eu
cd "$(dirname "$0")"
case ${1:-} in
*[!A-Za-z0-9_./-]* | /* | */ | */*/* | "" | greentally | simulator) ;;
*) good=yes ;;
esac
[ "${good:-}" ] || {
	echo "usage: device.sh community/device, such as jiayuan/bin-1, or device.sh gateway" >&2
	exit 2
}
password=$(head -c 18 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
users=$(awk -F: -v name="$1" '$1 != name' secrets/mqtt_users)
printf '%s\n%s:%s\n' "$users" "$1" "$password" >secrets/mqtt_users
printf 'user %s, password %s\n' "$1" "$password"
