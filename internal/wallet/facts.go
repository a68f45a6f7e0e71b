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
	n    [factSums]int64 // how many facts are in each
	// only has the sums of which facts are kept one by one; nil in the first pass.
	only map[uint64]bool
	kept map[string]*keptFact
}

// keptFact is a fact of one side, how often it was said, and where.
type keptFact struct {
	n     int64
	where factOf
}

// maxKept is about how many facts the second pass keeps. Other sums that differ are counted, and
// their rows not named: at least one row of each was changed.
const maxKept = 200_000

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
	f.n[at]++
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

// differing returns sums that differ and have no more facts than that, except for the first, and
// the number of the others that differ.
func (f *facts) differing(other *facts, most int64) (some map[uint64]bool, others int64) {
	var kept int64
	for i := range f.sums {
		if f.sums[i] == other.sums[i] && f.n[i] == other.n[i] {
			continue
		}
		n := f.n[i] + other.n[i]
		if some != nil && kept+n > most {
			others++
			continue
		}
		if some == nil {
			some = map[uint64]bool{}
		}
		some[uint64(i)] = true
		kept += n
	}
	return some, others
}

// compare adds what differs between the facts of the transactions and those of the rows.
func (v *Verified) compare(transactions, rows *facts) {
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
	differ := make([]*both, 0, len(byRow))
	for _, b := range byRow {
		differ = append(differ, b)
	}
	slices.SortFunc(differ, func(a, b *both) int {
		x, y := cmp.Or(a.said, a.found), cmp.Or(b.said, b.found)
		return cmp.Or(cmp.Compare(x.account, y.account), cmp.Compare(x.seq, y.seq), cmp.Compare(x.table, y.table),
			cmp.Compare(x.key, y.key), cmp.Compare(x.number, y.number))
	})
	for _, b := range differ {
		switch {
		case len(v.Problems) >= MaxProblems:
			v.More++
		case b.found == nil:
			v.Add(b.said.problem("is missing or was changed; a transaction has it"))
		case b.said == nil:
			v.Add(b.found.problem("was added or changed; no transaction has it"))
		default:
			v.Add(b.said.problem("was changed; it differs from its transaction"))
		}
	}
}

func (f factOf) problem(text string) Problem {
	return Problem{Account: f.account, Seq: f.seq, Transaction: f.id, Table: f.table, Row: f.name(), Problem: text}
}
