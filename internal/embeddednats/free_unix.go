//go:build unix

package embeddednats

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Free returns how many bytes the disk of a folder has left for who is not root.
func Free(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil //nolint:unconvert // it is signed on some systems
}
