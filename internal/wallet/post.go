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

// anyAmount as the least that must be available lets every change pass.
const anyAmount money.Micros = math.MinInt64

// line is one line of a statement on its way into the books.
type line struct {
	account     id.ID
	kind        Type
	amount      money.Micros // the change of the available money
	description string
	subject     id.ID // "" for money that comes in
	hour        *int64
	from, to    *time.Time
	hourlyPrice *money.Micros
	labels      Labels

	// post sets these.
	id             id.ID
	seq            int64
	balanceAfter   money.Micros
	availableAfter money.Micros
}

// counterBook is the book that gets the opposite of the amount.
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

// held is the change of the money set aside.
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
	least           money.Micros // must be available before
}

// state is a row of the table wallet.
type state struct {
	available, held money.Micros
	seq             int64
	negativeSince   *time.Time
}

func (s state) wallet(account id.ID) Wallet {
	return Wallet{Account: account, Balance: s.available + s.held, Held: s.held, Available: s.available, NegativeSince: s.negativeSince}
}

// post writes the lines into the books in their order and returns the wallets as they are
// then. Each wallet must have at least least available beforehand; a wallet that
// has not, or is not there, gives an error and nothing is written.
//
// The wallet's row is changed first, by one statement that checks, changes and locks it: what the lines
// say of the money after them is counted back from what it returns, so no other
// transaction can come in between.
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
	wallets, turned := make(map[id.ID]Wallet, len(sorted)), []id.ID{}
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
		wallets[c.account] = s.wallet(c.account)
		if before := s.available - c.available; (before < 0) != (s.available < 0) {
			turned = append(turned, c.account)
		}
		running[c.account] = &state{available: s.available - c.available, held: s.held - c.held, seq: s.seq - c.lines}
	}
	for _, n := range lines {
		s := running[n.account]
		s.available += n.amount
		s.held += n.held()
		s.seq++
		n.id, n.seq, n.availableAfter, n.balanceAfter = l.ids.New(id.Transaction), s.seq, s.available, s.available+s.held
	}
	if err := insertLines(ctx, tx, lines); err != nil {
		return nil, err
	}
	for _, account := range turned {
		if err := l.turned(ctx, tx, account); err != nil {
			return nil, err
		}
	}
	return wallets, nil
}
