#!/bin/sh
# Runs once, when InfluxDB is set up: the bucket for what is derived is kept for ever, and Grafana gets a user that
# may read both buckets by InfluxQL and nothing else.
set -eu
org=$DOCKER_INFLUXDB_INIT_ORG
id() {
	influx bucket list --org "$org" --name "$1" --hide-headers | cut -f 1
}
influx bucket create --org "$org" --name greentally_derived --retention 0
influx v1 auth create --org "$org" --username grafana --password "$(cat /run/secrets/influxdb_grafana_password)" \
	--read-bucket "$(id "$DOCKER_INFLUXDB_INIT_BUCKET")" --read-bucket "$(id greentally_derived)" >/dev/null
