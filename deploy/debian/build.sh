#!/bin/sh
# Builds greentally_VERSION_ARCH.deb in a folder, dist if none is given. GOARCH says for which machine, VERSION which
# version; else that is the last tag, and how many commits since. Same commit, same bytes.
set -eu
cd "$(dirname "$0")/../.."
dist=${1:-dist}

# 1.2.0 at a tag, 1.2.0+5.g1a2b3c4 five commits later, 1.2.0~rc1 before; without any tag a version older than all.
version() {
	git describe --tags --match 'v[0-9]*' 2>/dev/null | sed 's/^v//; s/-\([0-9]*\)-g/+\1.g/; s/-/~/g' | grep . ||
		git log -1 --date=format:%Y%m%d%H%M%S --format=0.0.0+git%cd.%h 2>/dev/null ||
		echo 0.0.0+git
}
VERSION=${VERSION:-$(version)}
GOARCH=${GOARCH:-$(go env GOHOSTARCH)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
MAINTAINER=${MAINTAINER:-greentally maintainers <greentally@example.org>}
BUILD=$(mktemp -d)
export VERSION GOARCH SOURCE_DATE_EPOCH MAINTAINER BUILD
trap 'rm -rf "$BUILD"' EXIT
umask 022

export CGO_ENABLED=0
go build -trimpath -ldflags '-s -w' -o "$BUILD/greentally" ./cmd/greentally
program=$BUILD/greentally
if [ "$GOARCH" != "$(go env GOHOSTARCH)" ]; then
	program=$BUILD/host
	GOARCH=$(go env GOHOSTARCH) go build -trimpath -ldflags '-s -w' -o "$program" ./cmd/greentally
fi
for shell in bash zsh fish; do
	"$program" completion $shell >"$BUILD/completion.$shell"
done
gzip -9n <deploy/debian/greentally.1 >"$BUILD/greentally.1.gz"

# The program holds the modules that it is built from, and their licences ask to go with it.
go list -deps -f '{{with .Module}}{{if .Dir}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/greentally | sort -u |
	while read -r module release folder; do
		[ "$folder" ] || continue # greentally itself, which has no release
		printf '%s %s\n\n' "$module" "$release"
		find "$folder" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' \) | sort | xargs -r -d '\n' cat
		printf '\n----------------------------------------\n\n'
	done | gzip -9n >"$BUILD/modules.gz"

gzip -9n >"$BUILD/changelog.gz" <<EOF
greentally ($VERSION) unstable; urgency=medium

  * What changed: the commits up to $(git rev-parse --short HEAD 2>/dev/null || echo "this one").

 -- $MAINTAINER  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
EOF

mkdir -p "$dist"
.cache/bin/nfpm package --config deploy/debian/nfpm.yaml --packager deb --target "$dist/greentally_${VERSION}_$GOARCH.deb"
