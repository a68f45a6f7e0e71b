package deployment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// queryChunk is how many deployments one query names.
const queryChunk = 100

var deployments = db.NewTable("deployment", func(r *row) []db.Column {
	return []db.Column{
		db.Col("id", &r.id),
		db.Col("account_id", &r.account),
		db.Col("name", &r.name),
		db.Derived("name_key", strings.ToLower(r.name)),
		db.Col("status", &r.status),
		db.Col("cause", &r.cause),
		db.Col("reason", &r.reason),

		db.Col("provider", &r.provider),
		db.Col("region", &r.region),
		db.Col("offer_id", &r.offerID),
		db.Col("offer_key", &r.offerKey),
		db.Col("gpu_type", &r.gpuType),
		db.Col("gpu_count", &r.gpuCount),
		db.Col("instance_type", &r.instanceType),
		db.Col("operating_system", &r.operatingSystem),
		db.Col("image", db.JSON(&r.image)),
		db.Col("hourly_price", &r.hourlyPrice),
		db.Col("cost_price", &r.costPrice),
		db.Col("capabilities", db.SharedJSON(&r.capabilities)),
		db.Col("minimum_runtime", db.Seconds(&r.minimumRuntime)),
		db.Col("plans", db.SharedJSON(&r.plans)),
		db.Col("attempts", db.SharedJSON(&r.attempts)),

		db.Col("authorized_keys", db.SharedJSON(&r.authorizedKeys)),
		db.Col("cloud_init", &r.cloudInit),
		db.Col("steps", db.SharedJSON(&r.steps)),
		db.Col("action", &r.action),
		db.Col("action_argument", &r.actionArgument),
		db.Col("action_image", db.JSON(&r.actionImage)),
		db.Col("off_requested", &r.offRequested),
		db.Col("rescue", &r.rescue),
		db.Col("spending_key_id", &r.spendingKeyID),
		db.Col("project", &r.project),
		db.Col("creator_type", &r.createdBy.Type),
		db.Col("creator_id", &r.createdBy.ID),
		db.Col("creator_name", &r.createdBy.Name),

		db.Col("machine_id", &r.machineID),
		db.Col("address", &r.address),
		db.Col("ssh_user", &r.sshUser),
		db.Col("ssh_port", &r.sshPort),
		db.Col("ssh_host_keys", db.SharedJSON(&r.sshHostKeys)),
		db.Col("ssh_host_key_source", &r.sshHostKeySource),
		db.Col("host_key_public", &r.hostKeyPublic),
		db.Col("host_key_sealed", &r.hostKeySealed),
		db.Col("host_key_by", &r.hostKeyBy),
		db.Col("nodes", db.JSON(&r.nodes)),
		db.Col("machine_cost", &r.machineCost),

		db.Col("gpu_memory", &r.gpuMemory),
		db.Col("interconnect", &r.interconnect),
		db.Col("health_policy", &r.healthPolicy),
		db.Col("health_access", &r.healthAccess),
		db.Col("health_key_public", &r.healthKeyPublic),
		db.Col("health_key_sealed", &r.healthKeySealed),
		db.Col("health_verdict", &r.healthVerdict),
		db.Col("health_reason", &r.healthReason),
		db.Col("health_checked_at", &r.healthCheckedAt),
		db.Col("health_doubted_at", &r.healthDoubtedAt),

		db.Col("auto_terminate_at", &r.autoTerminateAt),
		db.Col("max_spend", &r.maxSpend),
		db.Col("max_runtime", &r.maxRuntime),
		db.Col("termination_protection", &r.terminationProtection),
		db.Col("created_at", &r.createdAt),
		db.Col("launch_by", &r.launchBy),
		db.Col("launch_asked_at", &r.launchAskedAt),
		db.Col("launch_open_at", &r.launchOpenAt),
		db.Col("started_at", &r.startedAt),
		db.Col("billed_until", &r.billedUntil),
		db.Col("ending_since", &r.endingSince),
		db.Col("released_at", &r.releasedAt),
	}
})

// planColumns are what changes with the offer that a deployment is about.
var planColumns = []string{
	"provider", "region", "offer_id", "offer_key", "gpu_type", "gpu_count", "instance_type", "operating_system",
	"hourly_price", "cost_price", "capabilities", "minimum_runtime", "plans", "attempts",
	"launch_by", "steps", "machine_id", "launch_asked_at", "launch_open_at",
	"gpu_memory", "interconnect", "health_policy", "health_key_public", "health_key_sealed", "health_verdict",
	"health_reason", "health_checked_at", "health_doubted_at",
}

// machineColumns are what is known of the machine that can change while its deployment runs.
var machineColumns = []string{"machine_id", "address", "ssh_user", "ssh_port", "ssh_host_keys"}

// stateColumns are what can change with a status.
var stateColumns = slices.Concat(machineColumns, []string{
	"steps", "action", "action_argument", "action_image", "off_requested", "started_at", "billed_until", "ending_since",
	"released_at", "health_key_sealed",
})

// deploymentTag is one tag of a deployment.
type deploymentTag struct {
	deployment id.ID
	account    id.ID
	position   int64
	tag        string
}

var deploymentTags = db.NewTable("deployment_tag", func(t *deploymentTag) []db.Column {
	return []db.Column{
		db.Col("deployment_id", &t.deployment), db.Col("account_id", &t.account),
		db.Col("position", &t.position), db.Col("tag", &t.tag),
	}
})

func insert(ctx context.Context, tx *db.Tx, r *row) error {
	if err := deployments.Insert(ctx, tx, *r); err != nil {
		return err
	}
	return insertTags(ctx, tx, r)
}

func insertTags(ctx context.Context, tx *db.Tx, r *row) error {
	tags := make([]deploymentTag, len(r.tags))
	for i, t := range r.tags {
		tags[i] = deploymentTag{r.id, r.account, int64(i), t}
	}
	return deploymentTags.Insert(ctx, tx, tags...)
}

// setSettings writes what a tenant can change.
func setSettings(ctx context.Context, tx *db.Tx, r *row, tags bool) error {
	columns := []string{
		"name", "name_key", "project", "auto_terminate_at", "max_spend", "max_runtime", "termination_protection",
	}
	_, err := deployments.Update(ctx, tx, r, columns, db.Is("id", r.id), db.Is("account_id", r.account))
	if err != nil || !tags {
		return err
	}
	if _, err := deploymentTags.Delete(ctx, tx, db.Is("deployment_id", r.id)); err != nil {
		return err
	}
	return insertTags(ctx, tx, r)
}

// set writes columns of the deployment if the conditions hold, and reports whether they do.
func set(ctx context.Context, tx *db.Tx, r *row, columns []string, where ...db.Cond) (bool, error) {
	n, err := deployments.Update(ctx, tx, r, columns, append(where, db.Is("id", r.id))...)
	return n == 1, err
}

// claimStatus writes the new status if the deployment still has the old one.
func claimStatus(ctx context.Context, tx *db.Tx, r *row, from Status) (bool, error) {
	return set(ctx, tx, r, []string{"status", "cause", "reason"}, db.Is("status", from))
}

// setState writes everything that changes with a status.
func setState(ctx context.Context, tx *db.Tx, r *row) (bool, error) {
	return set(ctx, tx, r, stateColumns, db.Is("status", r.status))
}

func setProgress(ctx context.Context, tx *db.Tx, r *row) (bool, error) {
	columns := []string{"steps", "machine_id", "launch_open_at"}
	return set(ctx, tx, r, columns, db.Is("status", r.status), db.Is("offer_id", r.offerID))
}

func setMachine(ctx context.Context, tx *db.Tx, r *row) (bool, error) {
	return set(ctx, tx, r, machineColumns, db.Is("status", r.status))
}

// setMachineFacts writes the rest of what is known of the machine, except for the host key that it
// was given. The private part of that is deleted: the machine has shown a key.
func setMachineFacts(ctx context.Context, tx *db.Tx, r *row) error {
	r.hostKeySealed = ""
	columns := []string{"nodes", "machine_cost", "ssh_host_key_source", "host_key_by", "host_key_sealed", "rescue"}
	_, err := set(ctx, tx, r, columns)
	return err
}

// setAction writes the action to perform, unless one is pending.
func setAction(ctx context.Context, tx *db.Tx, r *row) error {
	_, err := set(ctx, tx, r, []string{"action", "action_argument", "action_image"}, db.Is("action", ""))
	return err
}

// clearAction clears the action that was performed, and writes what it left.
func clearAction(ctx context.Context, tx *db.Tx, r *row, performed Action) (bool, error) {
	columns := []string{
		"action", "action_argument", "action_image", "off_requested", "rescue", "operating_system", "image",
	}
	return set(ctx, tx, r, columns, db.Is("action", performed))
}

// setLaunchBegun writes when Launch is called, if that offer is still to be launched.
func setLaunchBegun(ctx context.Context, tx *db.Tx, r *row) (bool, error) {
	columns := []string{"launch_asked_at", "launch_open_at"}
	return set(ctx, tx, r, columns, db.Is("status", StatusDeploying), db.Is("offer_id", r.offerID))
}

// setLaunchEnded writes what is left to know about launches, unless another was begun since.
func setLaunchEnded(ctx context.Context, tx *db.Tx, r *row, asked, open *time.Time) error {
	left := *r
	left.launchAskedAt, left.launchOpenAt = asked, open
	_, err := set(ctx, tx, &left, []string{"launch_asked_at", "launch_open_at"},
		db.Is("offer_id", r.offerID), db.Is("launch_asked_at", *r.launchAskedAt))
	return err
}

// setPlan writes what the deployment is about from now on, if it is still about that offer.
func setPlan(ctx context.Context, tx *db.Tx, r *row, from id.ID) (bool, error) {
	return set(ctx, tx, r, planColumns, db.Is("status", StatusDeploying), db.Is("offer_id", from))
}

func setReleased(ctx context.Context, tx *db.Tx, r *row) (bool, error) {
	return set(ctx, tx, r, []string{"released_at"}, db.Is("status", r.status))
}

// setHostKey writes the host key to launch the machine with, unless there is one.
func setHostKey(ctx context.Context, tx *db.Tx, r *row) (bool, error) {
	return set(ctx, tx, r, []string{"host_key_public", "host_key_sealed"},
		db.Is("status", StatusDeploying), db.Is("offer_id", r.offerID), db.Is("host_key_public", ""))
}

// setHealthKey writes the key for checks to launch the machine with, unless there is one.
func setHealthKey(ctx context.Context, tx *db.Tx, r *row) (bool, error) {
	return set(ctx, tx, r, []string{"health_key_public", "health_key_sealed"},
		db.Is("status", StatusDeploying), db.Is("offer_id", r.offerID), db.Is("health_key_public", ""))
}

// setHealth writes the newest verdict on the machine.
func setHealth(ctx context.Context, tx *db.Tx, r *row) (bool, error) {
	columns := []string{"health_verdict", "health_reason", "health_checked_at"}
	return set(ctx, tx, r, columns, db.Is("status", r.status), db.Is("health_key_public", r.healthKeyPublic))
}

// setHealthDoubt writes that a first check failed, and the step that says so, unless there is a
// verdict or another first check.
func setHealthDoubt(ctx context.Context, tx *db.Tx, r *row) (bool, error) {
	return set(ctx, tx, r, []string{"health_doubted_at", "steps"}, db.Is("status", StatusDeploying),
		db.Is("health_key_public", r.healthKeyPublic), db.Is("health_verdict", ""),
		db.Cond{Text: `health_doubted_at IS NULL`})
}

// forgetHealthKey deletes the private part of the key that the machine was launched with.
func forgetHealthKey(ctx context.Context, tx *db.Tx, r *row) error {
	_, err := set(ctx, tx, &row{id: r.id}, []string{"health_key_sealed"},
		db.Is("health_key_public", r.healthKeyPublic))
	return err
}

// forgetHostKey deletes the private host key of a machine that is not launched any more, and the
// public one too if another machine is to be launched.
func forgetHostKey(ctx context.Context, tx *db.Tx, deployment id.ID, public bool) error {
	const private = `UPDATE deployment SET host_key_sealed = '' WHERE id = $1 AND host_key_sealed <> ''`
	_, err := tx.Exec(ctx, private, deployment)
	if public {
		_, other := tx.Exec(ctx, `UPDATE deployment SET host_key_public = '' WHERE id = $1`, deployment)
		err = errors.Join(err, other)
	}
	return err
}

// reopen marks deployments whose end was confirmed as having a machine again. It returns those that
// there are, with their accounts.
func reopen(ctx context.Context, tx *db.Tx, provider string, deployments []id.ID) (map[id.ID]id.ID, error) {
	if len(deployments) == 0 {
		return nil, nil
	}
	args := append([]any{tx.Now, provider, StatusTerminated, StatusFailed, StatusInterrupted}, db.Args(deployments)...)
	return db.CollectMap(ctx, tx, db.Pair[id.ID, id.ID], `UPDATE deployment SET released_at = NULL, ending_since = $1
		WHERE provider = $2 AND status IN ($3, $4, $5) AND released_at IS NOT NULL
			AND id IN `+db.In(6, len(deployments))+` RETURNING id, account_id`, args...)
}

func find(ctx context.Context, r db.Reader, account, deployment id.ID) (row, bool, error) {
	return one(ctx, r, `WHERE id = $1 AND account_id = $2`, deployment, account)
}

// isIn reports whether the account has the deployment in the project.
func isIn(ctx context.Context, r db.Reader, account, deployment id.ID, project string) (is bool, err error) {
	err = r.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM deployment
		WHERE id = $1 AND account_id = $2 AND project = $3)`, deployment, account, project).Scan(&is)
	return is, err
}

// findAny finds a deployment of any account. In a transaction on PostgreSQL the row is locked.
func findAny(ctx context.Context, r db.Reader, deployment id.ID) (row, bool, error) {
	return one(ctx, r, `WHERE id = $1`, deployment)
}

func one(ctx context.Context, r db.Reader, where string, args ...any) (row, bool, error) {
	x, found, err := deployments.Find(ctx, r, where+db.ForUpdate(r), args...)
	if err != nil || !found {
		return row{}, false, err
	}
	rows := []row{x}
	err = readTags(ctx, r, rows)
	return rows[0], true, err
}

// unended returns the account's deployments that are neither final nor terminating. On PostgreSQL
// their rows are locked, all before any money moves: locked one by one, they could deadlock with a
// request that has one of them and waits for the wallet.
func unended(ctx context.Context, tx *db.Tx, account id.ID) ([]row, error) {
	rest := `WHERE account_id = $1 AND status IN ($2, $3, $4, $5) ORDER BY id`
	if tx.Engine() == db.Postgres {
		rest += ` FOR UPDATE`
	}
	rows, err := deployments.Select(
		ctx,
		tx,
		rest,
		account,
		StatusPending,
		StatusDeploying,
		StatusRunning,
		StatusStopped,
	)
	if err != nil {
		return nil, err
	}
	return rows, readTags(ctx, tx, rows)
}

// countUnended counts the account's deployments that are neither final nor terminating, and their
// GPUs.
func countUnended(ctx context.Context, r db.Reader, account id.ID) (machines, gpus int64, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(gpu_count), 0) AS BIGINT) FROM deployment
		WHERE account_id = $1 AND status IN ($2, $3, $4, $5)`,
		account, StatusPending, StatusDeploying, StatusRunning, StatusStopped).Scan(&machines, &gpus)
	return machines, gpus, err
}

// withCandidates returns the account's deployments that may still become another candidate.
func withCandidates(ctx context.Context, r db.Reader, account id.ID) ([]row, error) {
	return deployments.Select(ctx, r, `WHERE account_id = $1 AND status IN ($2, $3) AND plans <> '[]'`,
		account, StatusPending, StatusDeploying)
}

// lockAll returns the account's deployments with the ids, in the order of ids. On PostgreSQL their
// rows are locked.
func lockAll(ctx context.Context, tx *db.Tx, account id.ID, ids []id.ID) ([]row, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rest := `WHERE account_id = $1 AND id IN ` + db.In(2, len(ids)) + ` ORDER BY id` + db.ForUpdate(tx)
	rows, err := deployments.Select(ctx, tx, rest, append([]any{account}, db.Args(ids)...)...)
	if err != nil {
		return nil, err
	}
	return rows, readTags(ctx, tx, rows)
}

// filtered returns the ids of up to limit of the account's deployments that match the filter,
// newest first. It reads no more than those of the filter's statuses, by their index: however many
// deployments an account ever had, few have not ended.
func filtered(ctx context.Context, r db.Reader, account id.ID, f Filter, limit int) ([]id.ID, error) {
	tag := f.Tag
	f.Sort, f.Tag = nil, ""
	l := listed(account, f)
	if tag != "" {
		l.Rest = append(l.Rest, tagged(tag))
	}
	var found []id.ID
	for p := (db.Page{Number: 1, Limit: 100}); len(found) < limit; {
		rows, of, err := l.Page(ctx, r, p)
		if err != nil {
			return nil, err
		}
		for _, x := range rows {
			found = append(found, x.id)
		}
		if of.Next == nil {
			break
		}
		p.After = of.Next
	}
	return found, nil
}

// savepoint runs a change, and undoes its statements if it is refused.
func savepoint(ctx context.Context, tx *db.Tx, change func() error) (undone bool, err error) {
	if _, err := tx.Exec(ctx, `SAVEPOINT one`); err != nil {
		return false, err
	}
	err = change()
	if _, undone = errors.AsType[*apierr.Error](err); undone {
		if _, undo := tx.Exec(ctx, `ROLLBACK TO SAVEPOINT one`); undo != nil {
			return false, undo
		}
	} else if err != nil {
		return false, err
	}
	if _, release := tx.Exec(ctx, `RELEASE SAVEPOINT one`); release != nil {
		return false, release
	}
	return undone, err
}

func list(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]row, db.Listed, error) {
	out, of, err := listed(account, f).Page(ctx, r, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	return out, of, readTags(ctx, r, out)
}

// listed is the list that the filter describes.
func listed(account id.ID, f Filter) db.List[row] {
	l := deployments.List(db.Is(`account_id`, account))
	l.Order = orderOf(f.Sort)
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
	if f.Project != "" {
		filters = append(filters, db.Is(`project`, f.Project))
	}
	if f.CreatedBy != "" {
		filters = append(filters, db.Is(`creator_id`, f.CreatedBy))
	}
	if f.GPUType != "" {
		filters = append(filters, db.Is(`gpu_type`, f.GPUType))
	}
	if f.Search != "" {
		l.Rest = append(l.Rest, searched(f.Search))
	}
	byID := len(l.Order) == 1
	switch {
	case f.Name != "": // few deployments have the same name
		l.Where = append(l.Where, db.NameIs(f.Name)...)
		l.Rest = append(l.Rest, filters...)
		if f.Tag != "" {
			l.Rest = append(l.Rest, tagged(f.Tag))
		}
	case f.Tag != "" && byID:
		l.Source, l.SourceID = `deployment_tag`, `deployment_tag.deployment_id`
		l.Order = []db.Key{{Column: `deployment_tag.deployment_id`, Reverse: l.Order[0].Reverse}}
		l.Where = []db.Cond{db.Is(`deployment_tag.account_id`, account), db.Is(`tag`, f.Tag)}
		l.Rest = append(l.Rest, filters...)
	case f.Tag != "":
		l.Rest = append(l.Rest, append(filters, tagged(f.Tag))...)
	case len(filters) > 0 && byID:
		l.Each, l.Rest = &filters[0], append(l.Rest, filters[1:]...)
	default:
		l.Rest = append(l.Rest, filters...)
	}
	if l.Source != "" && len(l.Rest) > 0 {
		l.Source += ` JOIN deployment ON deployment.id = deployment_tag.deployment_id`
	}
	return l
}

// costToDate is what a deployment has cost. The meter has it, so no index of deployments serves it:
// the rows that the other conditions find are all read and sorted.
const costToDate = `COALESCE((SELECT meter.cost FROM meter WHERE meter.subject = deployment.id), 0)`

// orderOf returns the columns of the sort keys, until they are different for every row. Those that
// are equal in all keys are sorted by time, in the direction of the last key.
func orderOf(keys []SortKey) (order []db.Key) {
	down := true
	for _, k := range keys {
		var name string
		name, down = strings.CutPrefix(string(k), "-")
		switch name {
		case "name":
			order = append(order, db.Key{Column: `name_key`, Reverse: down})
		case "hourlyPrice":
			order = append(order, db.Key{Column: `hourly_price`, Number: true, Reverse: down})
		case "costToDate":
			order = append(order, db.Key{Column: costToDate, Number: true, Reverse: down})
		default: // ids rise with time
			return append(order, db.Key{Column: `id`, Reverse: down})
		}
	}
	return append(order, db.Key{Column: `id`, Reverse: down})
}

// searched is the condition that the name, a tag, the address or the id has the text. It counts the
// tags that do, because PostgreSQL would run an EXISTS once for the tags of all accounts, which are
// far more than those of the rows that a list reads.
func searched(text string) db.Cond {
	like := db.Like(text)
	return db.Cond{
		Text: `(name_key LIKE ? ESCAPE '\' OR deployment.id LIKE ? ESCAPE '\' OR address LIKE ? ESCAPE '\'
			OR 0 < (SELECT COUNT(*) FROM deployment_tag AS t WHERE t.deployment_id = deployment.id
				AND LOWER(t.tag) LIKE ? ESCAPE '\'))`,
		Args: []any{like, like, like, like},
	}
}

// tagged is the condition that a deployment has the tag.
func tagged(tag string) db.Cond {
	return db.Cond{
		Text: `EXISTS (SELECT 1 FROM deployment_tag WHERE deployment_id = deployment.id AND tag = ?)`,
		Args: []any{tag},
	}
}

// readTags reads the tags of all rows with one query.
func readTags(ctx context.Context, r db.Reader, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	byID, ids := map[id.ID]*row{}, []any{}
	for i := range rows {
		byID[rows[i].id] = &rows[i]
		ids = append(ids, rows[i].id)
	}
	tags, err := deploymentTags.Select(ctx, r,
		`WHERE deployment_id IN `+db.In(1, len(ids))+` ORDER BY deployment_id, position`, ids...)
	for _, t := range tags {
		byID[t.deployment].tags = append(byID[t.deployment].tags, t.tag)
	}
	return err
}

// watched is what Watch needs of a deployment.
type watched struct {
	id, account id.ID
	status      Status
	machineID   string
	address     string
	sshPort     int
	endingSince *time.Time
	costPrice   money.Micros
	machineCost money.Micros
	startedAt   *time.Time
	// offRequested is whether the tenant had the machine switched off, or an action is pending.
	offRequested bool
	rescue       bool
}

// pendingActions returns the provider's deployments with a pending action.
func pendingActions(ctx context.Context, tx *db.Tx, provider string) ([]row, error) {
	return deployments.Select(ctx, tx, `WHERE provider = $1 AND action <> '' AND released_at IS NULL ORDER BY id`,
		provider)
}

// readWatched returns the provider's deployments that have, or may have, a machine: all whose end
// the provider has not confirmed.
func readWatched(ctx context.Context, r db.Reader, provider string) ([]watched, error) {
	return db.Collect(ctx, r, func(row db.Row) (w watched, err error) {
		err = row.Scan(&w.id, &w.account, &w.status, &w.machineID, &w.address, &w.sshPort, &w.endingSince,
			&w.costPrice, &w.machineCost, &w.startedAt, &w.offRequested, &w.rescue)
		return w, err
	}, `SELECT id, account_id, status, machine_id, address, ssh_port, COALESCE(ending_since, billed_until), cost_price,
		machine_cost, started_at, CASE WHEN off_requested = 1 OR action <> '' THEN 1 ELSE 0 END, rescue
		FROM deployment WHERE provider = $1 AND released_at IS NULL`, provider)
}

// readMachines returns the provider's deployments that have a machine, or a launch without an
// answer, and whose end the provider has not confirmed.
func readMachines(ctx context.Context, r db.Reader, provider string) ([]id.ID, error) {
	return db.Collect(ctx, r, db.Value[id.ID], `SELECT id FROM deployment WHERE provider = $1
		AND released_at IS NULL AND (machine_id <> '' OR launch_open_at IS NOT NULL)`, provider)
}

// providersOf returns the providers of those of the deployments that exist.
func providersOf(ctx context.Context, r db.Reader, deployments []id.ID) (map[id.ID]string, error) {
	out := map[id.ID]string{}
	for chunk := range slices.Chunk(deployments, queryChunk) {
		found, err := db.CollectMap(ctx, r, db.Pair[id.ID, string],
			`SELECT id, provider FROM deployment WHERE id IN `+db.In(1, len(chunk)), db.Args(chunk)...)
		if err != nil {
			return nil, fmt.Errorf("find the providers of deployments: %w", err)
		}
		for d, p := range found {
			out[d] = p
		}
	}
	return out, nil
}

func resourceCounts(ctx context.Context, r db.Reader) (map[string]ResourceCounts, error) {
	return db.CollectMap(ctx, r, func(row db.Row) (p string, n ResourceCounts, err error) {
		err = row.Scan(&p, &n.Deployments, &n.Machines, &n.Unreleased)
		return p, n, err
	}, `SELECT provider, CAST(SUM(CASE WHEN status IN ($1, $2, $3, $4, $5) THEN 1 ELSE 0 END) AS BIGINT),
			CAST(SUM(CASE WHEN machine_id <> '' THEN 1 ELSE 0 END) AS BIGINT), COUNT(*)
		FROM deployment WHERE released_at IS NULL GROUP BY provider`,
		StatusPending, StatusDeploying, StatusRunning, StatusStopped, StatusTerminating)
}

func countByStatus(ctx context.Context, r db.Reader) (map[Status]int64, error) {
	return db.CollectMap(ctx, r, db.Pair[Status, int64], `SELECT status, COUNT(*) FROM deployment GROUP BY status`)
}

// candidatesAt returns how many deployments may still become an offer of each provider.
func candidatesAt(ctx context.Context, r db.Reader) (map[string]int64, error) {
	all, err := db.Collect(ctx, r, func(row db.Row) (plans []plan, err error) {
		return plans, row.Scan(db.JSON(&plans))
	}, `SELECT plans FROM deployment WHERE status IN ($1, $2) AND plans <> '[]'`, StatusPending, StatusDeploying)
	out := map[string]int64{}
	for _, plans := range all {
		seen := map[string]bool{}
		for _, p := range plans {
			if !seen[p.Provider] {
				out[p.Provider]++
			}
			seen[p.Provider] = true
		}
	}
	return out, err
}

// CountByProvider returns how many deployments may still have a machine, by provider.
func CountByProvider(ctx context.Context, r db.Reader) (map[string]int, error) {
	return db.Counts(ctx, r, `SELECT provider, COUNT(*) FROM deployment WHERE released_at IS NULL GROUP BY provider`)
}
