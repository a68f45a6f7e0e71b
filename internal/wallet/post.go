package wallet

import (
	"cmp"
	"context"
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

	// post sets these.
	id             id.ID
	seq            int64
	balanceAfter   money.Micros
	availableAfter money.Micros
	createdAt      time.Time
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
	least           money.Micros // what must be available beforehand
}

// state is a row of the table wallet.
type state struct {
	account         id.ID
	available, held money.Micros
	seq             int64
	negativeSince   *time.Time
}

func (s state) wallet() Wallet {
	return Wallet{
		Account: s.account, Balance: s.available + s.held, Held: s.held, Available: s.available,
		NegativeSince: s.negativeSince,
	}
}

// post writes the lines into the books in their order and returns the wallets after them. Each
// wallet must have at least the amount least available beforehand. If a wallet has less, or does
// not exist, post returns an error and writes nothing.
//
// The wallet's row is changed first, by one statement that checks, changes and locks it. The
// amounts after each line are computed back from what that statement returns, so no other
// transaction can interfere.
func (l *Ledger) post(ctx context.Context, tx *db.Tx, lines []*line, least money.Micros) (map[id.ID]Wallet, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	changes := make(map[id.ID]*change)
	for _, n := range lines {
		c := changes[n.account]
		if c == nil {
			c = &change{account: n.account, least: least}
			changes[n.account] = c
		}
		c.available += n.amount
		c.held += n.held()
		c.lines++
	}
	sorted := make([]*change, 0, len(changes))
	for _, c := range changes {
		sorted = append(sorted, c)
	}
	slices.SortFunc(sorted, func(a, b *change) int { return cmp.Compare(a.account, b.account) })
	after, err := changeWallets(ctx, tx, sorted)
	if err != nil {
		return nil, err
	}
	wallets, crossed := make(map[id.ID]Wallet, len(sorted)), []id.ID{}
	running := make(map[id.ID]*state, len(sorted))
	for _, c := range sorted {
		s, changed := after[c.account]
		if !changed {
			w, err := selectWallet(ctx, tx, c.account)
			if err != nil {
				return nil, err
			}
			return nil, &InsufficientError{Available: w.Available, Required: c.least}
		}
		wallets[c.account] = s.wallet()
		if before := s.available - c.available; (before < 0) != (s.available < 0) {
			crossed = append(crossed, c.account)
		}
		running[c.account] = &state{available: s.available - c.available, held: s.held - c.held, seq: s.seq - c.lines}
	}
	for _, n := range lines {
		s := running[n.account]
		s.available += n.amount
		s.held += n.held()
		s.seq++
		n.id, n.seq, n.availableAfter, n.balanceAfter = l.ids.New(id.Transaction), s.seq, s.available,
			s.available+s.held
	}
	if err := insertLines(ctx, tx, lines); err != nil {
		return nil, err
	}
	for _, account := range crossed {
		if err := l.crossed(ctx, tx, account); err != nil {
			return nil, err
		}
	}
	return wallets, nil
}
