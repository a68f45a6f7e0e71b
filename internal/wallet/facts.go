package wallet

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/billetcloud/billet/internal/id"
)

// factSums are how many sums Verify compares first. Facts whose sums differ are compared one by
// one, so more sums leave fewer of these.
const factSums = 1 << 14

// facts compares what the rows of a table say with what the transactions say, without sorting or
// looking up either: a fact is a row's text, and both sides add up hashes of their facts. Each
// verification draws a seed, so that rows cannot be chosen for equal sums.
type facts struct {
	seed maphash.Seed
	sums [factSums]uint64
	// only has the sums of which facts are kept one by one; nil in the first pass.
	only map[uint64]bool
	kept map[string]*keptFact
}

// keptFact is a fact of one side, how often it was said, and where.
type keptFact struct {
	n     int64
	where factOf
}

// factOf names the row that a fact is of. Account, seq and id are those of the transaction, where
// the fact is from one.
type factOf struct {
	table   string
	key     string
	number  int64 // the second part of the key, where it has one
	account id.ID
	seq     int64
	id      id.ID
}

func (f factOf) name() string {
	if f.number < 0 {
		return f.key
	}
	return fmt.Sprintf("%s/%d", f.key, f.number)
}

func newFacts(seed maphash.Seed, only map[uint64]bool) *facts {
	return &facts{seed: seed, only: only, kept: map[string]*keptFact{}}
}

func (f *facts) add(fact []byte, of factOf) {
	h := maphash.Bytes(f.seed, fact)
	at := h % factSums
	f.sums[at] += h
	if f.only == nil || !f.only[at] {
		return
	}
	k := f.kept[string(fact)]
	if k == nil {
		k = &keptFact{where: of}
		f.kept[string(fact)] = k
	}
	k.n++
}

// differing returns the sums that differ.
func (f *facts) differing(other *facts) map[uint64]bool {
	var out map[uint64]bool
	for i := range f.sums {
		if f.sums[i] != other.sums[i] {
			if out == nil {
				out = map[uint64]bool{}
			}
			out[uint64(i)] = true
		}
	}
	return out
}

// compare returns what differs between the facts of the transactions and those of the rows.
func compare(transactions, rows *facts) []Problem {
	type both struct{ said, found *factOf }
	byRow := map[string]*both{}
	at := func(f factOf) *both {
		key := f.table + " " + f.name()
		if byRow[key] == nil {
			byRow[key] = &both{}
		}
		return byRow[key]
	}
	for text, k := range transactions.kept {
		if other := rows.kept[text]; other == nil || other.n < k.n {
			at(k.where).said = &k.where
		}
	}
	for text, k := range rows.kept {
		if other := transactions.kept[text]; other == nil || other.n < k.n {
			at(k.where).found = &k.where
		}
	}
	var out []Problem
	for _, b := range byRow {
		switch {
		case b.found == nil:
			out = append(out, b.said.problem("is missing or was changed; a transaction has it"))
		case b.said == nil:
			out = append(out, b.found.problem("was added or changed; no transaction has it"))
		default:
			out = append(out, b.said.problem("was changed; it differs from its transaction"))
		}
	}
	slices.SortFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Row, b.Row))
	})
	return out
}

func (f factOf) problem(text string) Problem {
	return Problem{Account: f.account, Seq: f.seq, Transaction: f.id, Table: f.table, Row: f.name(), Problem: text}
}
