package wallet

import (
	"context"
	"math"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Head is an account's newest transaction.
type Head struct {
	Account id.ID
	Seq     int64
	Hash    string
}

// Heads returns the newest transaction of every account that has one. It is for the server.
func Heads(ctx context.Context, r db.Reader) ([]Head, error) { return selectHeads(ctx, r) }

// NewestTransaction returns when the newest transaction of all accounts was made. It is for the
// server.
func NewestTransaction(ctx context.Context, r db.Reader) (at time.Time, found bool, err error) {
	return selectNewest(ctx, r)
}

// Record is a transaction with all that its hash covers, in US dollars and UTC.
type Record struct {
	Record         string        `json:"record"` // transaction
	Seq            int64         `json:"seq"`
	ID             id.ID         `json:"id"`
	Type           Type          `json:"type"`
	Amount         money.Micros  `json:"amount"`
	BalanceAfter   money.Micros  `json:"balanceAfter"`
	AvailableAfter money.Micros  `json:"availableAfter"`
	Description    string        `json:"description"`
	Subject        *string       `json:"subject"`
	Hour           *int64        `json:"hour"`
	From           *time.Time    `json:"from"`
	To             *time.Time    `json:"to"`
	HourlyPrice    *money.Micros `json:"hourlyPrice"`
	Rounding       *string       `json:"rounding"`
	Provider       string        `json:"provider"`
	Region         string        `json:"region"`
	GPUType        string        `json:"gpuType"`
	Name           string        `json:"name"`
	Reference      *string       `json:"reference"`
	CreatedAt      time.Time     `json:"createdAt"`
	Entries        []Entry       `json:"entries"`
	PreviousHash   string        `json:"previousHash"`
	Hash           string        `json:"hash"`
}

// Entry is one side of a transaction.
type Entry struct {
	Book   string       `json:"book"`
	Amount money.Micros `json:"amount"`
}

// Link leads from one hash of an account to the next, without the transaction.
type Link struct {
	Record string `json:"record"` // link
	Seq    int64  `json:"seq"`
	Digest string `json:"digest"`
	Hash   string `json:"hash"`
}

func (n *line) record(previous string) Record {
	r := Record{
		Record: "transaction", Seq: n.seq, ID: n.id, Type: n.kind, Amount: n.amount, BalanceAfter: n.balanceAfter,
		AvailableAfter: n.availableAfter, Description: n.description, Subject: nonEmpty(string(n.subject)),
		Hour: n.hour, From: n.from, To: n.to, HourlyPrice: n.hourlyPrice,
		Provider: n.labels.Provider, Region: n.labels.Region,
		GPUType: n.labels.GPUType, Name: n.labels.Name, Reference: nonEmpty(n.reference), CreatedAt: n.createdAt,
		PreviousHash: previous, Hash: n.hash,
	}
	if n.hourlyPrice != nil {
		r.Rounding = nonEmpty(Rounding)
	}
	for _, e := range n.entries() {
		r.Entries = append(r.Entries, Entry{e.book, e.amount})
	}
	return r
}

// Records calls each with the account's transactions from the first one at or after from to the
// last one before to, oldest first and without gaps. A zero time does not limit. It returns the
// number of the last one, 0 if there is none. Like Export, it reads in chunks.
func (l *Ledger) Records(
	ctx context.Context, r db.Reader, account id.ID, from, to time.Time, each func(Record) error,
) (last int64, err error) {
	first, last, err := selectBounds(ctx, r, account, from, to)
	if err != nil || last < first || last == 0 {
		return 0, err
	}
	previous := ""
	if first > 1 {
		if previous, err = selectHash(ctx, r, account, first-1); err != nil {
			return 0, err
		}
	}
	return last, eachLine(ctx, r, account, first, last, func(n *line) error {
		before := previous
		previous = n.hash
		return each(n.record(before))
	})
}

// Links calls each with the links of the account's transactions after one number up to another.
func (l *Ledger) Links(
	ctx context.Context, r db.Reader, account id.ID, after, upTo int64, each func(Link) error,
) error {
	return eachLine(ctx, r, account, after+1, upTo, func(n *line) error {
		return each(Link{"link", n.seq, n.digest(), n.hash})
	})
}

// eachLine calls f with the account's lines from one number to another.
func eachLine(ctx context.Context, r db.Reader, account id.ID, first, last int64, f func(*line) error) error {
	for first <= last {
		chunk, err := selectLines(ctx, r, account, first, min(last, first+exportChunk-1))
		if err != nil || len(chunk) == 0 {
			return err
		}
		for i := range chunk {
			if err := f(&chunk[i]); err != nil {
				return err
			}
		}
		first = chunk[len(chunk)-1].seq + 1
	}
	return nil
}

// micros returns the time as the database keeps it, or the other value for the zero time.
func micros(t time.Time, zero int64) int64 {
	if t.IsZero() {
		return zero
	}
	return t.UnixMicro()
}

// never is after every time.
const never = int64(math.MaxInt64)
