#!/bin/sh
# Hashes the passwords of the users' file and starts the broker; see mosquitto_passwd(1).
set -eu
umask 077
cp /run/secrets/mqtt_users /tmp/passwords
mosquitto_passwd -U /tmp/passwords
exec mosquitto -c /mosquitto/config/mosquitto.conf
