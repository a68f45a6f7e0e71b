package app

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent is how much garbage may accumulate, as a percentage of the live heap. A server's
	// heap is small, so with Go's default of 100 it would be collected dozens of times a second
	// under load.
	gcPercent = 400
	// memoryLimit is the heap size in bytes from which it is collected more often. A catalog of
	// 100,000 offers fits.
	memoryLimit = 1 << 30
)

// SetMemory tunes Go's garbage collector for this process, unless GOGC and GOMEMLIMIT do.
func SetMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
