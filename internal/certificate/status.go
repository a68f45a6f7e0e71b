package certificate

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
)

// Status describes a domain's certificate, and the attempts to get one.
type Status struct {
	Domain string `json:"domain"`
	// NotAfter is the end of the certificate, and RenewAt when it is renewed; nil without one.
	NotAfter *time.Time `json:"notAfter"`
	RenewAt  *time.Time `json:"renewAt"`
	// Failures counts the attempts since the last success, Fault is why the last one failed, and
	// NextAttemptAt the earliest time of the next.
	Failures      int64     `json:"failures"`
	Fault         string    `json:"fault,omitempty"`
	NextAttemptAt time.Time `json:"nextAttemptAt"`
}

// List returns the domains for which certificates were ordered, by name.
func List(ctx context.Context, r db.Reader) ([]Status, error) {
	all, err := listAll(ctx, r)
	out := []Status{}
	for _, r := range all {
		s := Status{
			Domain: r.domain, NotAfter: r.notAfter, Failures: r.failures, Fault: r.fault, NextAttemptAt: r.next,
		}
		if at := r.renewAt(); !at.IsZero() {
			s.RenewAt = &at
		}
		out = append(out, s)
	}
	return out, err
}

// Retry ends the backoff of the domains, or of all where none is named. It returns how many there
// are.
func Retry(ctx context.Context, d *db.DB, domains []string) (found int64, err error) {
	err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, err := db.Time(ctx, tx)
		if err == nil {
			found, err = allowAttempts(ctx, tx, now, domains)
		}
		return err
	})
	return found, err
}
