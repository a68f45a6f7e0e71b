package invoice

import (
	"context"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/wallet"
)

const (
	// previewAge is how long what was read for a preview is used again: the month of a large
	// account takes a while to read, and a user who sees a page may load it again.
	previewAge = time.Minute
	// maxPreviews is how many accounts' months are kept, and maxPreviewLines how many lines of all
	// of them.
	maxPreviews     = 1000
	maxPreviewLines = 50_000
)

// previews keep what was read of the current month of some accounts.
type previews struct {
	cfg  Config
	mu   sync.Mutex
	kept map[id.ID]*preview
}

// preview is the month of an account. reading is held by the request that reads it, so that others
// wait for that instead of reading it, too.
type preview struct {
	reading chan struct{}
	at      time.Time
	period  wallet.Period
}

func newPreviews(c Config) *previews { return &previews{cfg: c, kept: map[id.ID]*preview{}} }

// period returns what the ledger says about the current month up to an instant of the last minute.
func (v *previews) period(ctx context.Context, of id.ID) (wallet.Period, time.Time, error) {
	p := v.of(of)
	select {
	case p.reading <- struct{}{}:
		defer func() { <-p.reading }()
	case <-ctx.Done():
		return wallet.Period{}, time.Time{}, ctx.Err()
	}
	now := v.cfg.Clock.Now().UTC().Truncate(time.Microsecond)
	month := now.Format(monthLayout)
	if age := now.Sub(p.at); age >= 0 && age < previewAge && p.at.Format(monthLayout) == month {
		return p.period, p.at, nil
	}
	from, _, _ := monthOf(month)
	read, err := v.cfg.Wallet.Period(ctx, of, from, now.Add(time.Microsecond)) // with those of this instant
	if err != nil {
		return wallet.Period{}, now, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	p.period, p.at = read, now
	return read, now, nil
}

// of returns the account's entry, after it has removed what is too old or too much.
func (v *previews) of(of id.ID) *preview {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.kept[of]
	if p != nil {
		return p
	}
	now, lines := v.cfg.Clock.Now(), 0
	for other, o := range v.kept {
		lines += len(o.period.Lines) + len(o.period.Movements)
		if now.Sub(o.at) >= previewAge || lines > maxPreviewLines || len(v.kept) >= maxPreviews {
			delete(v.kept, other)
		}
	}
	p = &preview{reading: make(chan struct{}, 1)}
	v.kept[of] = p
	return p
}
