package quota

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// installation stands in place of an account for the defaults.
const installation id.ID = ""

type stored struct {
	account   id.ID
	limits    Limits
	changedAt time.Time
}

var quotas = db.NewTable("quota", func(s *stored) []db.Column {
	return []db.Column{
		db.Col("account_id", &s.account),
		db.Col("machines", &s.limits.Machines),
		db.Col("gpus", &s.limits.GPUs),
		db.Col("hourly_spend", &s.limits.HourlySpend),
		db.Col("volumes", &s.limits.Volumes),
		db.Col("volume_gb", &s.limits.VolumeGB),
		db.Col("changed_at", &s.changedAt),
	}
})

// read returns the rows of the account and of the defaults, where there are any.
func read(ctx context.Context, r db.Reader, account id.ID) ([]stored, error) {
	return quotas.Select(ctx, r, `WHERE account_id IN ($1, $2)`, installation, account)
}

// Any is the condition that the account, or every account, has a quota.
func Any(account id.ID) db.Cond {
	return db.Cond{
		Text: `EXISTS (SELECT 1 FROM quota WHERE account_id IN (?, ?))`, Args: []any{installation, account},
	}
}

func put(ctx context.Context, tx *db.Tx, s stored) error {
	return quotas.Put(ctx, tx, []string{"account_id"}, s)
}
