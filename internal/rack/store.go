package rack

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var machines = db.NewTable("rack_machine", func(m *Machine) []db.Column {
	return []db.Column{
		db.Col("id", &m.ID), db.Col("name", &m.Name), db.Derived("name_key", strings.ToLower(m.Name)),
		db.Col("state", &m.State), db.Col("cause", &m.Cause), db.Col("reason", &m.Reason),
		db.Col("state_at", &m.StateAt), db.Col("unerased", &m.Unerased), db.Col("deployment_id", &m.DeploymentID),
		db.Col("bmc_url", &m.BMCURL), db.Col("bmc_user", &m.BMCUser), db.Col("bmc_password", &m.sealed),
		db.Col("bmc_certificate", &m.BMCCertificate), db.Col("next_password", &m.sealedNext),
		db.Col("rotate_password", &m.RotatePassword), db.Col("password_for", &m.passwordFor),
		db.Col("password_changed_at", &m.PasswordChangedAt), db.Col("password_problem", &m.PasswordProblem),
		db.Col("refused_at", &m.RefusedAt),
		db.Col("ssh_address", &m.SSHAddress),
		db.Col("ssh_user", &m.SSHUser), db.Col("ssh_host_key", &m.SSHHostKey),
		db.Col("ssh_public_key", &m.SSHPublicKey), db.Col("ssh_access", &m.sealedSSH),
		db.Col("idle_image", &m.IdleImage), db.Col("system", &m.system), db.Col("macs", db.JSON(&m.MACs)),
		db.Col("console", &m.Console), db.Col("console_port", &m.ConsolePort),
		db.Col("console_user", &m.ConsoleUser), db.Col("console_password", &m.consoleSealed),
		db.Col("console_host_key", &m.ConsoleHostKey),
		db.Derived("mac", first(m.MACs)), db.Col("prefix", &m.Address), db.Derived("address", addr(m.Address)),
		db.Col("gateway", &m.Gateway), db.Col("nameservers", db.JSON(&m.Nameservers)), db.Col("region", &m.Region),
		db.Col("fabric", &m.Fabric), db.Col("rack", &m.Rack), db.Col("position", &m.Position),
		db.Col("height", &m.Height), db.Col("labels", db.JSON(&m.Labels)), db.Col("hourly_price", &m.HourlyPrice),
		db.Col("gpu_type", &m.GPUType), db.Col("gpu_count", &m.GPUCount), db.Col("gpu_memory_gb", &m.GPUMemoryGB),
		db.Col("vcpus", &m.VCPUs), db.Col("memory_gb", &m.MemoryGB), db.Col("storage_gb", &m.StorageGB),
		db.Derived("offer_key", m.OfferKey()), db.Col("hardware", db.JSON(&m.Hardware)),
		db.Col("destroyed", db.JSON(&m.Destroyed)), db.Col("retiring", &m.Retiring),
		db.Col("tenancy", &m.tenancy), db.Col("wanted", &m.wanted),
		db.Col("wanted_at", &m.wantedAt), db.Col("launch", &m.launch), db.Col("installs", &m.installs),
		db.Col("last_deployment", &m.lastDeployment), db.Col("assigned_at", &m.assignedAt),
		db.Col("watched_at", &m.watchedAt), db.Col("detail", &m.Detail),
		db.Col("created_at", &m.CreatedAt), db.Col("changed_at", &m.ChangedAt),
	}
})

// told are the columns that the operator's fields are kept in.
var told = []string{
	"name", "name_key", "bmc_url", "bmc_user", "bmc_password", "bmc_certificate", "rotate_password",
	"refused_at", "ssh_address", "ssh_user",
	"ssh_host_key", "ssh_public_key", "ssh_access", "idle_image", "system", "macs", "mac", "prefix", "address",
	"gateway", "nameservers", "region", "fabric", "rack", "position", "height", "labels", "hourly_price",
	"gpu_type", "gpu_count", "gpu_memory_gb", "vcpus", "memory_gb", "storage_gb", "offer_key", "changed_at",
	"console", "console_port", "console_user", "console_password", "console_host_key",
}

// going are the columns that change while something is done with a machine.
var going = []string{
	"state", "cause", "reason", "state_at", "unerased", "deployment_id", "hardware", "destroyed", "retiring",
	"tenancy", "wanted",
	"wanted_at", "launch", "installs", "last_deployment", "assigned_at", "watched_at", "detail", "vcpus", "memory_gb",
	"storage_gb", "offer_key", "system",
}

// access are the columns of how Billet signs in at the BMC.
var access = []string{
	"bmc_password", "next_password", "password_for", "password_changed_at", "password_problem", "refused_at",
}

var changes = db.NewTable("rack_transition", func(c *Transition) []db.Column {
	return []db.Column{
		db.Col("machine_id", &c.machine), db.Col("number", &c.Number), db.Col("at", &c.At),
		db.Col("from_state", &c.from), db.Col("to_state", &c.To), db.Col("cause", &c.Cause),
		db.Col("reason", &c.Reason),
	}
})

func first(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return texts[0]
}

// find reads a machine. In a transaction that writes it locks it.
func find(ctx context.Context, r db.Reader, of id.ID) (Machine, bool, error) {
	return machines.Find(ctx, r, `WHERE id = $1`+db.ForUpdate(r), of)
}

// all returns every machine, by name. There are at most MaxMachines.
func all(ctx context.Context, r db.Reader) ([]Machine, error) {
	return machines.Select(ctx, r, `ORDER BY name_key`+db.ByBytes(r)+`, id`)
}

// list returns a page of the machines, those that were entered last first.
func list(ctx context.Context, r db.Reader, f Filter, p db.Page) ([]Machine, db.Listed, error) {
	var where []db.Cond
	if f.State != "" {
		where = append(where, db.Is("state", f.State))
	}
	l := machines.List(where...)
	l.Order, l.Down = []db.Key{{Column: "id"}}, true
	return l.Page(ctx, r, p)
}

// add inserts a machine; false if a unique column has its value already.
func add(ctx context.Context, tx *db.Tx, m Machine) (bool, error) {
	n, err := machines.InsertNew(ctx, tx, "", m)
	return n == 1, err
}

func update(ctx context.Context, tx *db.Tx, m Machine) error {
	_, err := machines.Update(ctx, tx, &m, told, db.Is("id", m.ID))
	return err
}

// put writes the state of a machine that is still in the state from; false if it is not.
func put(ctx context.Context, tx *db.Tx, m Machine, from State) (bool, error) {
	n, err := machines.Update(ctx, tx, &m, going, db.Is("id", m.ID), db.Is("state", from))
	return n == 1, err
}

// refusedBefore returns the machines whose BMC has refused Billet since then or before, by id.
// Nothing is tried with one that is retired and erased.
func refusedBefore(ctx context.Context, r db.Reader, then time.Time) ([]Machine, error) {
	return machines.Select(ctx, r, `WHERE refused_at <= $1 AND (state <> $2 OR unerased = 1) ORDER BY id`,
		then, Retired)
}

// putAccess writes how Billet signs in at the BMC.
func putAccess(ctx context.Context, tx *db.Tx, m Machine) error {
	_, err := machines.Update(ctx, tx, &m, access, db.Is("id", m.ID))
	return err
}

func remove(ctx context.Context, tx *db.Tx, of id.ID) error {
	if _, err := changes.Delete(ctx, tx, db.Is("machine_id", of)); err != nil {
		return err
	}
	if _, err := agentJobs.Delete(ctx, tx, db.Is("machine_id", of)); err != nil {
		return err
	}
	_, err := machines.Delete(ctx, tx, db.Is("id", of))
	return err
}

// remember adds a change of state to a machine's history, and deletes what is beyond the bound.
func remember(ctx context.Context, tx *db.Tx, c Transition) error {
	err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(number), 0) + 1 FROM rack_transition WHERE machine_id = $1`,
		c.machine).Scan(&c.Number)
	if err != nil {
		return fmt.Errorf("number a change of a machine: %w", err)
	}
	if err := changes.Insert(ctx, tx, c); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM rack_transition WHERE machine_id = $1 AND number <= $2`,
		c.machine, c.Number-maxHistory)
	return err
}

// history returns a page of a machine's changes of state, newest first.
func history(ctx context.Context, r db.Reader, of id.ID, p db.Page) ([]Transition, db.Listed, error) {
	l := changes.List(db.Is("machine_id", of))
	l.Order, l.Down = []db.Key{{Column: "number", Number: true}}, true
	l.ID = "number"
	out, listed, err := l.Page(ctx, r, p)
	for i := range out {
		if out[i].from != "" {
			out[i].From = &out[i].from
		}
	}
	return out, listed, err
}

func countMachines(ctx context.Context, r db.Reader) (n int64, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*) FROM rack_machine`).Scan(&n)
	return n, err
}
