package deployment

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

const columns = `id, account_id, name, status, cause, reason, provider, region, offer_id, offer_key, gpu_type, gpu_count, instance_type,
	operating_system, hourly_price, cost_price, capabilities, authorized_keys, cloud_init, steps, action, action_argument, machine_id, address,
	ssh_user, ssh_port, ssh_host_keys, minimum_runtime, auto_terminate_at, termination_protection, created_at, launch_by, started_at, ended_at, released_at, ending_since, launch_asked_at, plans, attempts, spending_key_id, launch_open_at`

func insert(ctx context.Context, tx *db.Tx, r row) error {
	capabilities, keys, steps, hostKeys, err := r.encode()
	if err != nil {
		return err
	}
	plans, attempts, err := r.encodePlans()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO deployment (`+columns+`, name_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
		$19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42)`,
		r.ID, r.Account, r.Name, r.Status, r.StatusCause, r.reason(), r.Provider, r.Region, r.OfferID, r.offerKey, r.GPUType, r.GPUCount, r.InstanceType,
		r.OperatingSystem, r.HourlyPrice, r.costPrice, capabilities, keys, r.cloudInit, steps, r.action, r.actionArgument, r.machineID, r.address,
		r.sshUser, r.sshPort, hostKeys, int64(r.minimumRuntime/time.Second), db.MicrosOrNull(r.AutoTerminateAt), flag(r.TerminationProtection),
		db.Micros(r.CreatedAt), db.Micros(r.launchBy), db.MicrosOrNull(r.StartedAt), db.MicrosOrNull(r.BilledUntil), db.MicrosOrNull(r.releasedAt), db.MicrosOrNull(r.endingSince), db.MicrosOrNull(r.launchAsked), plans, attempts, r.limitedKey, db.MicrosOrNull(r.launchOpen), strings.ToLower(r.Name))
	if err != nil {
		return fmt.Errorf("insert deployment: %w", err)
	}
	return insertTags(ctx, tx, r)
}

func insertTags(ctx context.Context, tx *db.Tx, r row) error {
	if len(r.Tags) == 0 {
		return nil
	}
	values, args := []string{}, []any{r.ID, r.Account}
	for i, t := range r.Tags {
		args = append(args, i, t)
		values = append(values, fmt.Sprintf("($1, $%d, $%d, $2)", len(args)-1, len(args)))
	}
	if _, err := tx.Exec(ctx, `INSERT INTO deployment_tag (deployment_id, position, tag, account_id) VALUES `+strings.Join(values, ", "), args...); err != nil {
		return fmt.Errorf("insert tags: %w", err)
	}
	return nil
}

// update writes what a tenant may change.
func update(ctx context.Context, tx *db.Tx, r row, tags bool) error {
	_, err := tx.Exec(ctx, `UPDATE deployment SET name = $3, auto_terminate_at = $4, termination_protection = $5, name_key = $6 WHERE id = $1 AND account_id = $2`,
		r.ID, r.Account, r.Name, db.MicrosOrNull(r.AutoTerminateAt), flag(r.TerminationProtection), strings.ToLower(r.Name))
	if err != nil {
		return fmt.Errorf("update deployment: %w", err)
	}
	if !tags {
		return nil
	}
	if _, err := tx.Exec(ctx, `DELETE FROM deployment_tag WHERE deployment_id = $1`, r.ID); err != nil {
		return fmt.Errorf("update tags: %w", err)
	}
	return insertTags(ctx, tx, r)
}

// changed makes of an UPDATE's answer whether its guard held.
func changed(n int64, err error) (bool, error) { return n == 1, err }

// claimStatus writes the new status if the old one still stands.
func claimStatus(ctx context.Context, tx *db.Tx, r row, from Status) (bool, error) {
	return changed(tx.Exec(ctx, `UPDATE deployment SET status = $3, cause = $4, reason = $5 WHERE id = $1 AND status = $2`, r.ID, from, r.Status, r.StatusCause, r.reason()))
}

// setState writes everything that changes with a status.
func setState(ctx context.Context, tx *db.Tx, r row) (bool, error) {
	_, _, steps, hostKeys, err := r.encode()
	if err != nil {
		return false, err
	}
	return changed(tx.Exec(ctx, `
		UPDATE deployment SET steps = $3, action = $4, action_argument = $5, machine_id = $6, address = $7, ssh_user = $8, ssh_port = $9, ssh_host_keys = $10,
			started_at = $11, ended_at = $12, released_at = $13, ending_since = $14
		WHERE id = $1 AND status = $2`,
		r.ID, r.Status, steps, r.action, r.actionArgument, r.machineID, r.address, r.sshUser, r.sshPort, hostKeys,
		db.MicrosOrNull(r.StartedAt), db.MicrosOrNull(r.BilledUntil), db.MicrosOrNull(r.releasedAt), db.MicrosOrNull(r.endingSince)))
}

func setProgress(ctx context.Context, tx *db.Tx, r row) (bool, error) {
	_, _, steps, _, err := r.encode()
	if err != nil {
		return false, err
	}
	return changed(tx.Exec(ctx, `UPDATE deployment SET steps = $3, machine_id = $4, launch_open_at = $6 WHERE id = $1 AND status = $2 AND offer_id = $5`,
		r.ID, r.Status, steps, r.machineID, r.OfferID, db.MicrosOrNull(r.launchOpen)))
}

func setMachine(ctx context.Context, tx *db.Tx, r row) (bool, error) {
	_, _, _, hostKeys, err := r.encode()
	if err != nil {
		return false, err
	}
	return changed(tx.Exec(ctx, `UPDATE deployment SET machine_id = $3, address = $4, ssh_user = $5, ssh_port = $6, ssh_host_keys = $7 WHERE id = $1 AND status = $2`,
		r.ID, r.Status, r.machineID, r.address, r.sshUser, r.sshPort, hostKeys))
}

func setAction(ctx context.Context, tx *db.Tx, r row) error {
	_, err := tx.Exec(ctx, `UPDATE deployment SET action = $2, action_argument = $3 WHERE id = $1 AND action = ''`, r.ID, r.action, r.actionArgument)
	return err
}

// clearAction takes the action that was carried out off the list, with the operating system that it may have left.
func clearAction(ctx context.Context, tx *db.Tx, r row) (bool, error) {
	return changed(tx.Exec(ctx, `UPDATE deployment SET action = '', action_argument = '', operating_system = $3 WHERE id = $1 AND action = $2`, r.ID, r.action, r.OperatingSystem))
}

// beginLaunch writes down when the provider is asked to launch, if that offer is still to be launched.
func beginLaunch(ctx context.Context, tx *db.Tx, r row) (bool, error) {
	return changed(tx.Exec(ctx, `UPDATE deployment SET launch_asked_at = $4, launch_open_at = $4 WHERE id = $1 AND status = $2 AND offer_id = $3`, r.ID, StatusDeploying, r.OfferID, db.MicrosOrNull(r.launchAsked)))
}

// endLaunch writes down what is left to be known, unless another launch was begun since.
func endLaunch(ctx context.Context, tx *db.Tx, r row, left, open *time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE deployment SET launch_asked_at = $4, launch_open_at = $5 WHERE id = $1 AND offer_id = $2 AND launch_asked_at = $3`,
		r.ID, r.OfferID, db.MicrosOrNull(r.launchAsked), db.MicrosOrNull(left), db.MicrosOrNull(open))
	return err
}

// setPlan writes what the deployment is about from now on, if it still stands at that offer.
func setPlan(ctx context.Context, tx *db.Tx, r row, from id.ID) (bool, error) {
	capabilities, _, steps, _, err := r.encode()
	if err != nil {
		return false, err
	}
	plans, attempts, err := r.encodePlans()
	if err != nil {
		return false, err
	}
	return changed(tx.Exec(ctx, `
		UPDATE deployment SET offer_id = $4, offer_key = $5, provider = $6, gpu_type = $7, gpu_count = $8, region = $9, operating_system = $10, instance_type = $11, capabilities = $12,
			hourly_price = $13, cost_price = $14, minimum_runtime = $15, launch_by = $16, steps = $17, plans = $18, attempts = $19, machine_id = $20, launch_asked_at = $21, launch_open_at = $22
		WHERE id = $1 AND status = $2 AND offer_id = $3`,
		r.ID, StatusDeploying, from, r.OfferID, r.offerKey, r.Provider, r.GPUType, r.GPUCount, r.Region, r.OperatingSystem, r.InstanceType, capabilities,
		r.HourlyPrice, r.costPrice, int64(r.minimumRuntime/time.Second), db.Micros(r.launchBy), steps, plans, attempts, r.machineID, db.MicrosOrNull(r.launchAsked), db.MicrosOrNull(r.launchOpen)))
}

func setReleased(ctx context.Context, tx *db.Tx, r row) (bool, error) {
	return changed(tx.Exec(ctx, `UPDATE deployment SET released_at = $3 WHERE id = $1 AND status = $2`, r.ID, r.Status, db.MicrosOrNull(r.releasedAt)))
}

// reopen marks ended deployments as not clean upstream, and returns the accounts of those that there are.
func reopen(ctx context.Context, tx *db.Tx, provider string, deployments []id.ID) (map[id.ID]id.ID, error) {
	if len(deployments) == 0 {
		return nil, nil
	}
	args := []any{db.Micros(tx.Now), provider, StatusTerminated, StatusFailed, StatusInterrupted}
	for _, d := range deployments {
		args = append(args, d)
	}
	rows, err := tx.Query(ctx, `UPDATE deployment SET released_at = NULL, ending_since = $1
		WHERE provider = $2 AND status IN ($3, $4, $5) AND released_at IS NOT NULL AND id IN `+db.In(6, len(deployments))+` RETURNING id, account_id`, args...)
	if err != nil {
		return nil, fmt.Errorf("reopen deployments: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[id.ID]id.ID{}
	for rows.Next() {
		var d, account id.ID
		if err := rows.Scan(&d, &account); err != nil {
			return nil, err
		}
		out[d] = account
	}
	return out, rows.Err()
}

func find(ctx context.Context, r db.Reader, account, deployment id.ID) (row, bool, error) {
	return one(ctx, r, `WHERE id = $1 AND account_id = $2`, deployment, account)
}

// findAny finds a deployment of whatever account. In a transaction on PostgreSQL the row is locked until its end.
func findAny(ctx context.Context, r db.Reader, deployment id.ID) (row, bool, error) {
	return one(ctx, r, `WHERE id = $1`, deployment)
}

func one(ctx context.Context, r db.Reader, where string, args ...any) (row, bool, error) {
	query := `SELECT ` + columns + machineColumns + ` FROM deployment ` + where
	if tx, in := r.(*db.Tx); in && tx.Engine() == db.Postgres && tx.Writes() {
		query += ` FOR UPDATE` // what is decided from the row stays true until the commit; SQLite has one writer anyway
	}
	x, err := scan(r.QueryRow(ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, false, nil
	}
	if err != nil {
		return row{}, false, fmt.Errorf("find deployment: %w", err)
	}
	rows := []row{x}
	err = tags(ctx, r, rows)
	return rows[0], true, err
}

// unended returns the account's deployments that are neither final nor terminating. On PostgreSQL their rows are locked, all
// before any money moves: one after the other, each with its money, would meet a request that has one and waits for the wallet.
func unended(ctx context.Context, tx *db.Tx, account id.ID) ([]row, error) {
	query := `SELECT ` + columns + machineColumns + ` FROM deployment WHERE account_id = $1 AND status IN ($2, $3, $4, $5) ORDER BY id`
	if tx.Engine() == db.Postgres {
		query += ` FOR UPDATE`
	}
	return all(ctx, tx, query, account, StatusPending, StatusDeploying, StatusRunning, StatusStopped)
}

func list(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]row, db.Listed, error) {
	l := db.List[row]{Columns: columns + machineColumns, Table: `deployment`, Where: []db.Cond{db.Is(`account_id`, account)}, Scan: scan}
	l.Order, l.Down = f.Order.Sorting()
	var filters []db.Cond // those that an index serves first
	if len(f.Statuses) > 0 {
		filters = append(filters, db.IsOneOf(`status`, f.Statuses))
	}
	if f.Provider != "" {
		filters = append(filters, db.Is(`provider`, strings.ToLower(f.Provider)))
	}
	if f.Region != "" {
		filters = append(filters, db.Is(`region`, strings.ToLower(f.Region)))
	}
	if f.Search != "" {
		l.Rest = append(l.Rest, db.Cond{Text: `name_key LIKE ? ESCAPE '\'`, Args: []any{db.Like(f.Search)}})
	}
	byID := len(l.Order) == 1
	switch {
	case f.Tag != "" && byID:
		l.Source, l.SourceID, l.Order = `deployment_tag`, `deployment_tag.deployment_id`, []db.Key{{Column: `deployment_tag.deployment_id`}}
		l.Where = []db.Cond{db.Is(`deployment_tag.account_id`, account), db.Is(`tag`, f.Tag)}
		l.Rest = append(l.Rest, filters...)
	case f.Tag != "":
		tag := db.Cond{
			Text: `EXISTS (SELECT 1 FROM deployment_tag WHERE deployment_id = deployment.id AND tag = ?)`, Args: []any{f.Tag},
		}
		l.Rest = append(l.Rest, append(filters, tag)...)
	case len(filters) > 0 && byID:
		l.Each, l.Rest = &filters[0], append(l.Rest, filters[1:]...)
	default:
		l.Rest = append(l.Rest, filters...)
	}
	if l.Source != "" && len(l.Rest) > 0 {
		l.Source += ` JOIN deployment ON deployment.id = deployment_tag.deployment_id`
	}
	out, of, err := l.Page(ctx, r, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	return out, of, tags(ctx, r, out)
}

func all(ctx context.Context, r db.Reader, query string, args ...any) ([]row, error) {
	rows, err := r.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []row
	for rows.Next() {
		x, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list deployments: %w", err)
		}
		out = append(out, x)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return out, tags(ctx, r, out)
}

// tags reads the tags of all rows with one query.
func tags(ctx context.Context, r db.Reader, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	byID, args := map[id.ID]*row{}, []any{}
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
		args = append(args, rows[i].ID)
	}
	found, err := r.Query(ctx, `SELECT deployment_id, tag FROM deployment_tag WHERE deployment_id IN `+db.In(1, len(args))+` ORDER BY deployment_id, position`, args...)
	if err != nil {
		return fmt.Errorf("list tags: %w", err)
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		var d id.ID
		var tag string
		if err := found.Scan(&d, &tag); err != nil {
			return err
		}
		byID[d].Tags = append(byID[d].Tags, tag)
	}
	return found.Err()
}

// sight is what the watch needs of a deployment.
type sight struct {
	id, account id.ID
	status      Status
	machineID   string
	address     string
	sshPort     int
	endingSince *time.Time
	agreedCost  money.Micros // what the provider asked when the deployment was made
	machineCost money.Micros // what it states for the machine; 0 where it does not
}

// seen returns the provider's deployments that have, or may have, a machine: all but those whose end the provider has confirmed.
func seen(ctx context.Context, r db.Reader, provider string) ([]sight, error) {
	rows, err := r.Query(ctx, `SELECT id, account_id, status, machine_id, address, ssh_port, COALESCE(ending_since, ended_at), cost_price, machine_cost FROM deployment WHERE provider = $1 AND released_at IS NULL`, provider)
	if err != nil {
		return nil, fmt.Errorf("list deployments of %s: %w", provider, err)
	}
	defer func() { _ = rows.Close() }()
	var out []sight
	for rows.Next() {
		var s sight
		var ending sql.NullInt64
		if err := rows.Scan(&s.id, &s.account, &s.status, &s.machineID, &s.address, &s.sshPort, &ending, &s.agreedCost, &s.machineCost); err != nil {
			return nil, err
		}
		s.endingSince = db.AtOrNil(ending)
		out = append(out, s)
	}
	return out, rows.Err()
}

// providersOf returns the providers of those of the deployments that there are.
func providersOf(ctx context.Context, r db.Reader, deployments []id.ID) (map[id.ID]string, error) {
	out := map[id.ID]string{}
	for len(deployments) > 0 {
		chunk := deployments[:min(lookedUp, len(deployments))]
		deployments = deployments[len(chunk):]
		args := make([]any, len(chunk))
		for i, d := range chunk {
			args[i] = d
		}
		rows, err := r.Query(ctx, `SELECT id, provider FROM deployment WHERE id IN `+db.In(1, len(args)), args...)
		if err != nil {
			return nil, fmt.Errorf("look deployments up: %w", err)
		}
		for rows.Next() {
			var d id.ID
			var p string
			if err := rows.Scan(&d, &p); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			out[d] = p
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func presences(ctx context.Context, r db.Reader) (map[string]Presence, error) {
	rows, err := r.Query(ctx, `SELECT provider, CAST(SUM(CASE WHEN status IN ($1, $2, $3, $4, $5) THEN 1 ELSE 0 END) AS BIGINT),
		CAST(SUM(CASE WHEN machine_id <> '' THEN 1 ELSE 0 END) AS BIGINT) FROM deployment WHERE released_at IS NULL GROUP BY provider`,
		StatusPending, StatusDeploying, StatusRunning, StatusStopped, StatusTerminating)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]Presence{}
	for rows.Next() {
		var p string
		var n Presence
		if err := rows.Scan(&p, &n.Deployments, &n.Machines); err != nil {
			return nil, err
		}
		out[p] = n
	}
	return out, rows.Err()
}

func countByStatus(ctx context.Context, r db.Reader) (map[Status]int64, error) {
	rows, err := r.Query(ctx, `SELECT status, COUNT(*) FROM deployment GROUP BY status`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[Status]int64{}
	for rows.Next() {
		var s Status
		var n int64
		if err := rows.Scan(&s, &n); err != nil {
			return nil, err
		}
		out[s] = n
	}
	return out, rows.Err()
}

func scan(from db.Row) (row, error) {
	var r row
	var reason, capabilities, keys, steps, hostKeys, plans, attempts string
	var minimum, protection, created, launchBy int64
	var auto, started, ended, released, ending, asked, open sql.NullInt64
	var facts machineFacts
	err := from.Scan(append([]any{&r.ID, &r.Account, &r.Name, &r.Status, &r.StatusCause, &reason, &r.Provider, &r.Region, &r.OfferID, &r.offerKey, &r.GPUType, &r.GPUCount,
		&r.InstanceType, &r.OperatingSystem, &r.HourlyPrice, &r.costPrice, &capabilities, &keys, &r.cloudInit, &steps, &r.action, &r.actionArgument, &r.machineID,
		&r.address, &r.sshUser, &r.sshPort, &hostKeys, &minimum, &auto, &protection, &created, &launchBy, &started, &ended, &released, &ending, &asked, &plans, &attempts, &r.limitedKey, &open}, facts.into(&r)...)...)
	if err != nil {
		return row{}, err
	}
	err = errors.Join(r.decode(capabilities, keys, steps, hostKeys, plans, attempts), facts.decode(&r))
	if reason != "" {
		r.StatusReason = &reason
	}
	r.minimumRuntime = time.Duration(minimum) * time.Second
	r.TerminationProtection = protection == 1
	r.CreatedAt, r.launchBy = db.At(created), db.At(launchBy)
	r.AutoTerminateAt, r.StartedAt, r.BilledUntil, r.releasedAt = db.AtOrNil(auto), db.AtOrNil(started), db.AtOrNil(ended), db.AtOrNil(released)
	r.endingSince, r.launchAsked, r.launchOpen = db.AtOrNil(ending), db.AtOrNil(asked), db.AtOrNil(open)
	r.VolumeIDs, r.Tags = []id.ID{}, []string{}
	r.finish()
	return r, err
}

func (r *row) encode() (capabilities, keys, steps, hostKeys string, err error) {
	parts := make([]string, 4)
	for i, v := range []any{r.Capabilities, r.keys, r.Steps, append([]string{}, r.hostKeys...)} {
		b, e := json.Marshal(v)
		if e != nil {
			return "", "", "", "", e
		}
		parts[i] = string(b)
	}
	return parts[0], parts[1], parts[2], parts[3], nil
}

func (r *row) encodePlans() (plans, attempts string, err error) {
	p, err := json.Marshal(append([]plan{}, r.plans...))
	if err != nil {
		return "", "", err
	}
	a, err := json.Marshal(append([]Attempt{}, r.Attempts...))
	return string(p), string(a), err
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// CountByProvider returns how many deployments may still have a machine, by provider.
func CountByProvider(ctx context.Context, r db.Reader) (map[string]int, error) {
	return db.Counts(ctx, r, `SELECT provider, COUNT(*) FROM deployment WHERE released_at IS NULL GROUP BY provider`)
}
