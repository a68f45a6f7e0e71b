package deployment

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// AccountMachines is how many machines an account has at a provider.
type AccountMachines struct {
	Account  id.ID
	Machines int64
}

// AccountsAt returns the accounts that have a running or stopped machine at the provider, in that
// region or in all for "", in the order of their ids: up to limit of those after the given one.
func AccountsAt(
	ctx context.Context, r db.Reader, provider, region string, after id.ID, limit int,
) ([]AccountMachines, error) {
	return db.Collect(ctx, r, func(row db.Row) (a AccountMachines, err error) {
		err = row.Scan(&a.Account, &a.Machines)
		return a, err
	}, `SELECT account_id, COUNT(*) FROM deployment
		WHERE provider = $1 AND status IN ($2, $3) AND (region = $4 OR $4 = '') AND account_id > $5
		GROUP BY account_id ORDER BY account_id LIMIT $6`,
		provider, StatusRunning, StatusStopped, region, after, limit)
}

// Place is a region of a provider.
type Place struct{ Provider, Region string }

// Places returns where the account has a running or stopped machine.
func Places(ctx context.Context, r db.Reader, account id.ID) ([]Place, error) {
	return db.Collect(ctx, r, func(row db.Row) (p Place, err error) {
		err = row.Scan(&p.Provider, &p.Region)
		return p, err
	}, `SELECT DISTINCT provider, region FROM deployment WHERE account_id = $1 AND status IN ($2, $3)`,
		account, StatusRunning, StatusStopped)
}
