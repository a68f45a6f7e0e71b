package sim

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
)

// Machines have addresses in 127.77.0.0/16, without the first and the last of it: every one is this
// computer's own and ssh and users can tell it from the others.
const (
	firstAddress = 127<<24 | 77<<16 | 1
	addresses    = 1<<16 - 2
)

// addressTries is how many addresses a machine is moved through when others have them. One that is
// taken means that another world on this computer has it.
const addressTries = 64

// pickAddress returns the first free address from a place that depends on the name, so that two
// worlds on one computer rarely meet. It returns false when none is free.
func pickAddress(name string, used map[netip.Addr]bool) (netip.Addr, bool) {
	start := mix(0, "address", name, 0)
	for i := range uint64(addresses) {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], firstAddress+uint32((start+i)%addresses))
		if a := netip.AddrFrom4(b); !used[a] {
			return a, true
		}
	}
	return netip.Addr{}, false
}

func isTaken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

func isUnassignable(err error) bool { return errors.Is(err, syscall.EADDRNOTAVAIL) }
