package embeddednats

import "time"

// Mend is mend, for benchmarks.
func Mend(dir string) ([]Damage, error) { return mend(dir, time.Now()) }

// Sound is sound, for property tests.
func Sound(data []byte, stream string, number uint32) (good []byte, bad int, torn bool) {
	return sound(data, stream, number)
}
