package signedhead

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/billetcloud/billet/internal/netstring"
	"github.com/billetcloud/billet/internal/wallet"
)

// A leaf and a node begin with different bytes, so that neither is taken for the other.
const leafByte, nodeByte = 0, 1

// leaves returns the leaf of each head.
func leaves(heads []wallet.Head) [][32]byte {
	out := make([][32]byte, len(heads))
	for i, h := range heads {
		b := netstring.Text([]byte{leafByte}, string(h.Account))
		b = netstring.Number(b, h.Seq)
		out[i] = sha256.Sum256(netstring.Text(b, h.Hash))
	}
	return out
}

func node(left, right [32]byte) [32]byte {
	b := append([]byte{nodeByte}, left[:]...)
	return sha256.Sum256(append(b, right[:]...))
}

// up returns the level above. The last of an odd number goes up as it is.
func up(level [][32]byte) [][32]byte {
	next := make([][32]byte, 0, (len(level)+1)/2)
	for i := 0; i < len(level); i += 2 {
		if i+1 == len(level) {
			next = append(next, level[i])
		} else {
			next = append(next, node(level[i], level[i+1]))
		}
	}
	return next
}

// root returns the Merkle root in hex, "" of no leaves.
func root(level [][32]byte) string {
	if len(level) == 0 {
		return ""
	}
	for len(level) > 1 {
		level = up(level)
	}
	return hex.EncodeToString(level[0][:])
}

// Side is on which side of a node another one is.
type Side string

// The sides.
const (
	Left  Side = "left"
	Right Side = "right"
)

// Enum lists the sides.
func (Side) Enum() []Side { return []Side{Left, Right} }

// Step leads from a node of the tree to the one above it.
type Step struct {
	Side Side   `json:"side" doc:"Side of the other node."`
	Hash string `json:"hash" doc:"Hash of the other node, in hexadecimal."`
}

// path returns the steps from a leaf to the root.
func path(level [][32]byte, at int) []Step {
	steps := []Step{}
	for len(level) > 1 {
		if other := at ^ 1; other < len(level) {
			side := Right
			if other < at {
				side = Left
			}
			steps = append(steps, Step{side, hex.EncodeToString(level[other][:])})
		}
		level, at = up(level), at/2
	}
	return steps
}
