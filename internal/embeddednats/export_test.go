package embeddednats

import "time"

// Mend is mend, for benchmarks.
func Mend(dir string) ([]Damage, error) { return mend(dir, time.Now()) }
