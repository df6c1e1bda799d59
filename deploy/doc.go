// Package deploy is how greentally is run: what docker-compose.yml mounts, the Debian package, and the manifests for
// Kubernetes; see docs/deploying.md. It has no code of its own. Its tests read those files as their tools do, and
// start natively what docker-compose.yml would start.
//
// It is a module of its own so that what its tests need to read such files stays out of the program's go.mod.
package deploy
