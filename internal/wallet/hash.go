package wallet

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/billetcloud/billet/internal/netstring"
)

// hashVersion begins each hash. It names the fields that are hashed, their encoding, and the
// rounding of hours: half-up to the micro-dollar. A later version may differ in each.
const hashVersion = "v1:"

// Rounding is the rule by which the amounts of hours are rounded to the micro-dollar.
const Rounding = "half-up"

// reference returns what a line keeps of the dedupe key of a credit. The key itself may name what
// the tenant must not read, such as a note of the operator.
func reference(dedupe string) string {
	sum := sha256.Sum256([]byte(dedupe))
	return hex.EncodeToString(sum[:])
}

// chain returns the hash of a line from that of the account's line before it, which is "" for the
// first, and the digest of its own fields. So a list of digests proves that one line comes before
// another, without what is between them.
func chain(previous, digest string) string {
	var b [256]byte
	text := netstring.Text(netstring.Text(netstring.Text(b[:0], "billet-chain-1"), previous), digest)
	sum := sha256.Sum256(text)
	hash := make([]byte, len(hashVersion)+2*len(sum))
	hex.Encode(hash[copy(hash, hashVersion):], sum[:])
	return string(hash)
}

// digest returns the SHA-256 of the line's fields and entries in hex. docs/ledger.md describes it;
// a tenant's verifier computes the same.
func (n *line) digest() string {
	var b [768]byte
	sum := sha256.Sum256(n.encode(b[:0]))
	return hex.EncodeToString(sum[:])
}

func (n *line) encode(b []byte) []byte {
	b = netstring.Text(b, "billet-transaction-1")
	b = netstring.Text(b, string(n.account))
	b = netstring.Number(b, n.seq)
	b = netstring.Text(b, string(n.id))
	b = netstring.Text(b, string(n.kind))
	b = netstring.Number(b, int64(n.amount))
	b = netstring.Number(b, int64(n.balanceAfter))
	b = netstring.Number(b, int64(n.availableAfter))
	b = netstring.Text(b, n.description)
	b = netstring.TextOrNull(b, string(n.subject))
	b = netstring.NumberOrNull(b, n.hour)
	b = netstring.TimeOrNull(b, n.from)
	b = netstring.TimeOrNull(b, n.to)
	b = netstring.NumberOrNull(b, (*int64)(n.hourlyPrice))
	b = netstring.Text(b, n.labels.Provider)
	b = netstring.Text(b, n.labels.Region)
	b = netstring.Text(b, n.labels.GPUType)
	b = netstring.Text(b, n.labels.Name)
	b = netstring.TextOrNull(b, n.reference)
	b = netstring.Number(b, n.createdAt.UnixMicro())
	for _, e := range n.entries() {
		b = netstring.Text(b, e.book)
		b = netstring.Number(b, int64(e.amount))
	}
	return b
}
