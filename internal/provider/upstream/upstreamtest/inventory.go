package upstreamtest

import (
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

// Inventory is what a fake really has, whatever its API says of it.
type Inventory struct {
	// Machines are all that were ever made, each with its last state: MachineGone for what is no more.
	Machines []Machine
	Volumes  []Volume
}

// Machine is one of a fake's machines. Name is what it was made with, our mark.
type Machine struct {
	ID, Name string
	State    provider.MachineState
	Made     time.Time
}

// Volume is one of a fake's volumes. Machines are the ids of those that have it.
type Volume struct {
	ID, Name string
	SizeGB   int64
	Machines []string
}

// Has returns the machines that are not gone.
func (h Inventory) Has() []Machine {
	return slices.DeleteFunc(slices.Clone(h.Machines), func(m Machine) bool { return m.State == provider.MachineGone })
}
