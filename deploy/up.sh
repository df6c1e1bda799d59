#!/bin/sh
# Makes what docker-compose.yml mounts and the repository does not have, each thing once: secrets with random values,
# and the folder of the communities' files. With "dev" also a simulated community and where its mails go.
#
# Who can enter deploy/secrets can read them: the folder is its owner's alone. The files in it are readable by all,
# because in a container each belongs to nobody there.
set -eu
cd "$(dirname "$0")"
umask 022
mkdir -p communities
(umask 077 && mkdir -p secrets)
random() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
secret() {
	[ -e "secrets/$1" ] || random >"secrets/$1"
}
for name in mqtt_password simulator_password influxdb_password influxdb_token influxdb_grafana_password http_token grafana_password; do
	secret $name
done
[ -e secrets/smtp_password ] || : >secrets/smtp_password
[ -e secrets/mqtt_users ] || printf 'greentally:%s\n' "$(cat secrets/mqtt_password)" >secrets/mqtt_users

[ -e ../.env ] || : >../.env

# In mqtt_users the simulator, which may publish for all, is there only while it is wanted.
users=$(grep -v '^simulator:' secrets/mqtt_users)
printf '%s\n' "$users" >secrets/mqtt_users
if [ "${1:-}" = dev ]; then
	printf 'simulator:%s\n' "$(cat secrets/simulator_password)" >>secrets/mqtt_users
	[ -e communities/jiayuan.yaml ] || cp ../simulator/community.yaml communities/jiayuan.yaml
	# The simulation begins at the same day whenever it is started, so that it says the same again.
	if ! [ -e dev.env ]; then
		then=$(($(date +%s) - 35 * 86400))
		from=$(date -d "@$then" +%F 2>/dev/null || date -r "$then" +%F)
		printf 'SIMULATE_FROM=%s\nSMTP_ADDRESS=mailpit:1025\nSMTP_FROM=greentally@example.org\nSMTP_USERNAME=\nSMTP_TLS=none\n' "$from" >dev.env
	fi
fi

# What is mounted is read by users of the containers, whatever umask it was checked out with.
chmod -R go+rX mosquitto influxdb greentally prometheus communities ../dashboards

# greentally writes there when a device is adopted.
if [ "$(id -u)" = 0 ]; then
	chgrp -R 65532 communities
	chmod -R g+rwX communities
fi
