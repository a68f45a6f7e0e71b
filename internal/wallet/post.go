package wallet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// anyAmount, as the least that must be available, allows every change.
const anyAmount money.Micros = math.MinInt64

// line is one transaction of a statement.
type line struct {
	account     id.ID
	kind        Type
	amount      money.Micros // the change of the available money
	description string
	subject     id.ID // "" for a credit
	hour        *int64
	from, to    *time.Time
	hourlyPrice *money.Micros
	labels      Labels
	reference   string // of a credit: see reference; "" for other lines

	// post sets these.
	id             id.ID
	seq            int64
	balanceAfter   money.Micros
	availableAfter money.Micros
	createdAt      time.Time
	hash           string
}

// entries returns both sides of the transaction.
func (n *line) entries() [2]entry {
	return [2]entry{{n.id, "wallet/" + string(n.account), n.amount}, {n.id, n.counterBook(), -n.amount}}
}

// counterBook returns the book that gets the opposite of the amount.
func (n *line) counterBook() string {
	switch n.kind {
	case TypeHold, TypeRelease:
		return "hold/" + string(n.account)
	case TypeCharge, TypeRefund:
		return "revenue"
	default:
		return "funding"
	}
}

// held returns the change of the held money.
func (n *line) held() money.Micros {
	if n.kind == TypeHold || n.kind == TypeRelease {
		return -n.amount
	}
	return 0
}

// change is what lines do to one wallet.
type change struct {
	account         id.ID
	available, held money.Micros
	lines           int64
	hash            string // of its last line
}

// state is a row of the table wallet.
type state struct {
	account         id.ID
	available, held money.Micros
	seq             int64
	negativeSince   *time.Time
	hash            string // of the newest line; "" before the first
	lowMark         *money.Micros
}

func (s state) wallet() Wallet {
	return Wallet{
		Account: s.account, Balance: s.available + s.held, Held: s.held, Available: s.available,
		NegativeSince: s.negativeSince,
	}
}

// below reports whether a change takes money and leaves less than the low mark.
func (s state) below(change money.Micros) bool {
	return s.lowMark != nil && change < 0 && s.available+change < *s.lowMark
}

// post writes the lines into the books in their order and returns the wallets after them. Each
// wallet must have at least the amount least available beforehand. If a wallet has less, or does
// not exist, post returns an error and writes nothing.
//
// The wallets are locked first. So the amounts and hashes of the lines follow from what was read,
// and no other transaction can interfere.
func (l *Ledger) post(ctx context.Context, tx *db.Tx, lines []*line, least money.Micros) (map[id.ID]Wallet, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	changes := changesBy(lines)
	running, err := lockWallets(ctx, tx, changes)
	if err != nil {
		return nil, err
	}
	var crossed, low []id.ID
	for _, c := range changes {
		s, opened := running[c.account]
		switch {
		case !opened:
			return nil, fmt.Errorf("%w: %s", ErrNoWallet, c.account)
		case s.available < least:
			return nil, &InsufficientError{Available: s.available, Required: least}
		case (s.available < 0) != (s.available+c.available < 0):
			crossed = append(crossed, c.account)
		}
		if s.below(c.available) {
			low = append(low, c.account)
		}
	}
	for _, n := range lines {
		s := running[n.account]
		s.available += n.amount
		s.held += n.held()
		s.seq++
		n.id, n.seq, n.createdAt = l.ids.New(id.Transaction), s.seq, tx.Now
		n.availableAfter, n.balanceAfter = s.available, s.available+s.held
		s.hash = chain(s.hash, n.digest())
		n.hash = s.hash
	}
	for _, c := range changes {
		c.hash = running[c.account].hash
	}
	after, err := changeWallets(ctx, tx, changes)
	if err != nil {
		return nil, err
	}
	wallets := make(map[id.ID]Wallet, len(changes))
	for _, c := range changes {
		s, r := after[c.account], running[c.account]
		if s.available != r.available || s.held != r.held || s.seq != r.seq {
			return nil, fmt.Errorf("wallet: the row of %s was changed although it is locked", c.account)
		}
		wallets[c.account] = s.wallet()
	}
	if err := insertLines(ctx, tx, lines); err != nil {
		return nil, err
	}
	return wallets, errors.Join(tell(ctx, tx, crossed, l.crossed), tell(ctx, tx, low, l.low))
}

// tell calls f for each of the accounts, until one fails.
func tell(
	ctx context.Context, tx *db.Tx, accounts []id.ID, f func(context.Context, *db.Tx, id.ID) error,
) error {
	for _, account := range accounts {
		if err := f(ctx, tx, account); err != nil {
			return err
		}
	}
	return nil
}

// changesBy returns what the lines change of each wallet, sorted by account.
func changesBy(lines []*line) []*change {
	changes := make(map[id.ID]*change)
	for _, n := range lines {
		c := changes[n.account]
		if c == nil {
			c = &change{account: n.account}
			changes[n.account] = c
		}
		c.available += n.amount
		c.held += n.held()
		c.lines++
	}
	return slices.SortedFunc(maps.Values(changes), func(a, b *change) int { return cmp.Compare(a.account, b.account) })
}
