package wallet

import (
	"fmt"
	"hash/maphash"
	"testing"
)

// TestFactsOfTheSecondPassAreBounded compares facts of which all differ: only so many are kept, and
// the other sums are counted.
func TestFactsOfTheSecondPassAreBounded(t *testing.T) {
	seed := maphash.MakeSeed()
	fill := func(only map[uint64]bool) (said, found *facts) {
		said, found = newFacts(seed, only), newFacts(seed, only)
		for i := range 50_000 {
			key := fmt.Sprint(i)
			said.add([]byte("was "+key), factOf{table: "wallet_entry", key: key, number: -1})
			found.add([]byte("is "+key), factOf{table: "wallet_entry", key: key, number: -1})
		}
		return said, found
	}
	said, found := fill(nil)
	some, others := said.differing(found, 5000)
	if len(some) == 0 || int64(len(some))+others < factSums*9/10 {
		t.Fatalf("%d sums are kept, %d counted", len(some), others)
	}
	said, found = fill(some)
	if n := len(said.kept) + len(found.kept); n < 4000 || n > 5000 {
		t.Errorf("%d facts are kept", n)
	}
	var v Verified
	v.compare(said, found)
	if n := int64(len(v.Problems)); n != MaxProblems || v.More == 0 {
		t.Errorf("%d problems and %d more", n, v.More)
	}
	// One sum is always named, however many facts are in it.
	if some, others = said.differing(found, 0); len(some) != 1 || others == 0 {
		t.Errorf("%d sums are kept, %d counted", len(some), others)
	}
}
