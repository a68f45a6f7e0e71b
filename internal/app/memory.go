package app

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent is how much garbage may gather beside what is in use, in per cent of it. What a server of ours uses is small,
	// so that with Go's 100 it would collect dozens of times a second under load; at rest hardly anything gathers.
	gcPercent = 400
	// memoryLimit is what the heap is kept under by collecting more often, in bytes: a catalogue of a hundred thousand offers has room.
	memoryLimit = 1 << 30
)

// SetMemory has Go's collector spare the processor, for this process. What GOGC and GOMEMLIMIT say in the environment stands.
func SetMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
