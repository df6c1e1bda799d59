package memory_test

import (
	"testing"

	"greentally"
	"greentally/store/memory"
	"greentally/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) greentally.Store { return &memory.Store{} })
}
