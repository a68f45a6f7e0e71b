package wallet

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// hashVersion begins each hash. It names the fields that are hashed, their encoding, and the
// rounding of hours: half-up to the micro-dollar. A later version may differ in each.
const hashVersion = "v1:"

// reference returns what a line keeps of the dedupe key of a credit. The key itself may name what
// the tenant must not read, such as a note of the operator.
func reference(dedupe string) string {
	sum := sha256.Sum256([]byte(dedupe))
	return hex.EncodeToString(sum[:])
}

// digest returns the hash of the line, its entries and the hash of the account's line before it,
// which is "" for the first. docs/ledger.md describes it; a tenant's verifier computes the same.
func (n *line) digest(previous string) string {
	sum := sha256.Sum256(n.encode(make([]byte, 0, 640), previous))
	text := make([]byte, len(hashVersion)+2*len(sum))
	hex.Encode(text[copy(text, hashVersion):], sum[:])
	return string(text)
}

// encode appends every field with its length in front, so that no two lines have one encoding.
func (n *line) encode(b []byte, previous string) []byte {
	b = appendField(b, "billet-transaction-1")
	b = appendField(b, previous)
	b = appendField(b, string(n.account))
	b = appendNumber(b, n.seq)
	b = appendField(b, string(n.id))
	b = appendField(b, string(n.kind))
	b = appendNumber(b, int64(n.amount))
	b = appendNumber(b, int64(n.balanceAfter))
	b = appendNumber(b, int64(n.availableAfter))
	b = appendField(b, n.description)
	b = appendOrNull(b, string(n.subject))
	b = appendNumberOrNull(b, n.hour)
	b = appendTimeOrNull(b, n.from)
	b = appendTimeOrNull(b, n.to)
	b = appendNumberOrNull(b, (*int64)(n.hourlyPrice))
	b = appendField(b, n.labels.Provider)
	b = appendField(b, n.labels.Region)
	b = appendField(b, n.labels.GPUType)
	b = appendField(b, n.labels.Name)
	b = appendOrNull(b, n.reference)
	b = appendNumber(b, n.createdAt.UnixMicro())
	for _, e := range n.entries() {
		b = appendField(b, e.book)
		b = appendNumber(b, int64(e.amount))
	}
	return b
}

// appendField appends the length in bytes, a colon, the text and a comma: a netstring.
func appendField(b []byte, text string) []byte {
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, ':')
	b = append(b, text...)
	return append(b, ',')
}

// appendNumber appends a decimal number as a field.
func appendNumber(b []byte, n int64) []byte {
	var digits [20]byte
	return appendField(b, string(strconv.AppendInt(digits[:0], n, 10)))
}

// null is the encoding of a field that a line does not have. No other field begins with a hyphen.
const null = "-,"

func appendOrNull(b []byte, text string) []byte {
	if text == "" {
		return append(b, null...)
	}
	return appendField(b, text)
}

func appendNumberOrNull(b []byte, n *int64) []byte {
	if n == nil {
		return append(b, null...)
	}
	return appendNumber(b, *n)
}

func appendTimeOrNull(b []byte, t *time.Time) []byte {
	if t == nil {
		return append(b, null...)
	}
	return appendNumber(b, t.UnixMicro())
}
