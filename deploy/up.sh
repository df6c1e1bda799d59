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

if [ "${1:-}" = dev ]; then
	grep -q '^simulator:' secrets/mqtt_users || printf 'simulator:%s\n' "$(cat secrets/simulator_password)" >>secrets/mqtt_users
	[ -e communities/jiayuan.yaml ] || cp ../simulator/community.yaml communities/jiayuan.yaml
	# The simulation begins at the same day whenever it is started, so that it says the same again.
	touch ../.env
	grep -q '^SIMULATE_FROM=' ../.env || printf 'SIMULATE_FROM=%s\n' "$(date -d '-35 days' +%F)" >>../.env
	grep -q '^SMTP_ADDRESS=' ../.env || printf 'SMTP_ADDRESS=mailpit:1025\nSMTP_FROM=greentally@example.org\nSMTP_TLS=none\n' >>../.env
fi

# greentally writes there when a device is adopted.
if [ "$(id -u)" = 0 ]; then
	chgrp -R 65532 communities
	chmod -R g+rwX communities
fi
