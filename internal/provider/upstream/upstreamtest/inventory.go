package upstreamtest

import (
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

// Inventory is what a fake really has, whatever its API shows.
type Inventory struct {
	// Machines are all that were ever created, each with its last state.
	Machines []Machine
	Volumes  []Volume
}

// Machine is a machine of a fake. Name is that of its creation, our mark.
type Machine struct {
	ID, Name string
	State    provider.MachineState
	Made     time.Time
}

// Volume is a volume of a fake. Machines are the ids of those that it is attached to.
type Volume struct {
	ID, Name string
	SizeGB   int64
	Machines []string
}

// Has returns the machines that are not gone.
func (h Inventory) Has() []Machine {
	return slices.DeleteFunc(slices.Clone(h.Machines), func(m Machine) bool { return m.State == provider.MachineGone })
}
