package deployment

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// machineColumns are what is read of the machine beside columns; a deployment that is made has their defaults.
const machineColumns = `, nodes, machine_cost, host_key_source, host_key_public, host_key_sealed, host_key_by`

// machineFacts is where a row's machineColumns are scanned to.
type machineFacts struct {
	nodes string
	by    sql.NullInt64
}

func (f *machineFacts) into(r *row) []any {
	return []any{&f.nodes, &r.machineCost, &r.hostKeySource, &r.hostKeyPublic, &r.hostKeySealed, &f.by}
}

func (f *machineFacts) decode(r *row) error {
	r.hostKeyBy = db.AtOrNil(f.by)
	return json.Unmarshal([]byte(f.nodes), &r.nodes)
}

// setMachineFacts writes them, but for the host key that the machine was given. What was needed to
// give it that is forgotten once the machine has shown a key.
func setMachineFacts(ctx context.Context, tx *db.Tx, r row) error {
	nodes, err := json.Marshal(append([]storedNode{}, r.nodes...))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE deployment SET nodes = $2, machine_cost = $3, host_key_source = $4, host_key_by = $5, host_key_sealed = '' WHERE id = $1`,
		r.ID, string(nodes), r.machineCost, r.hostKeySource, db.MicrosOrNull(r.hostKeyBy))
	return err
}

// setHostKey writes the host key that the machine is to be launched with, unless there is one.
func setHostKey(ctx context.Context, tx *db.Tx, r row) (bool, error) {
	return changed(tx.Exec(ctx, `UPDATE deployment SET host_key_public = $4, host_key_sealed = $5 WHERE id = $1 AND status = $2 AND offer_id = $3 AND host_key_public = ''`,
		r.ID, StatusDeploying, r.OfferID, r.hostKeyPublic, r.hostKeySealed))
}

// forgetHostKey forgets the private host key of a machine that is not launched any more, and the
// public one too where another machine is to be launched.
func forgetHostKey(ctx context.Context, tx *db.Tx, deployment id.ID, public bool) error {
	_, err := tx.Exec(ctx, `UPDATE deployment SET host_key_sealed = '' WHERE id = $1 AND host_key_sealed <> ''`, deployment)
	if public {
		_, other := tx.Exec(ctx, `UPDATE deployment SET host_key_public = '' WHERE id = $1`, deployment)
		err = errors.Join(err, other)
	}
	return err
}
