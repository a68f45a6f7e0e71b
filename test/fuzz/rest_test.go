package fuzz_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/db/sqlite"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/wallet"
)

// rest waits until everything has finished, and then checks the ledger and the upstream.
func (f *fuzzer) rest() {
	f.t.Helper()
	f.clear()
	status := map[string]string{}
	for _, by := range []time.Duration{
		time.Minute, 10 * time.Minute, time.Hour, 2 * time.Hour, 2 * time.Hour, 25 * time.Hour,
	} {
		f.travel(by)
		status = f.deployments()
		if !slices.ContainsFunc(sortedKeys(status), func(d string) bool {
			return slices.Contains([]string{"pending", "deploying", "terminating"}, status[d])
		}) {
			break
		}
	}
	up, err := app.AskSimStatus(f.t.Context(), f.server.Dir)
	if err != nil {
		f.t.Fatal(err)
	}
	machines := map[string]int{}
	for _, m := range up.Machines {
		of := string(m.Reference)
		machines[of]++
		if s := status[of]; s != "running" && s != "stopped" || machines[of] > 1 {
			f.t.Errorf("seed %d: machine %s at %s is %s for %s, which is %q", f.seed, m.ID, m.Provider, m.State, of, s)
		}
	}
	for d, s := range status {
		if up := s == "running" || s == "stopped"; up != (machines[d] == 1) || s == "pending" || s == "deploying" ||
			s == "terminating" {
			f.t.Errorf("seed %d: %s is %s and has %d machines", f.seed, d, s, machines[d])
		}
	}
	f.server.Stop()
	for line := range strings.Lines(f.server.Log()) {
		var l struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &l) == nil && (l.Level == "ERROR" || strings.Contains(l.Msg, "panic")) {
			f.t.Errorf("seed %d: the server's log: %s", f.seed, line)
		}
	}
	f.withDatabase(func(ctx context.Context, d *db.DB) error {
		faults, err := wallet.New(wallet.Config{DB: d, IDs: id.NewMaker(clock.System{}, rand.Reader)}).Audit(ctx)
		for _, x := range faults {
			f.t.Errorf("seed %d: the books: %s", f.seed, x)
		}
		return err
	})
}

// deployments returns the statuses of all deployments of all accounts.
func (f *fuzzer) deployments() map[string]string {
	f.t.Helper()
	out := map[string]string{}
	f.withDatabase(func(ctx context.Context, d *db.DB) error {
		rows, err := d.Query(ctx, `SELECT id, status FROM deployment`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id, status string
			if err := rows.Scan(&id, &status); err != nil {
				return err
			}
			out[id] = status
		}
		return rows.Err()
	})
	return out
}

func (f *fuzzer) withDatabase(use func(context.Context, *db.DB) error) {
	f.t.Helper()
	ctx := f.t.Context()
	var d *db.DB
	var err error
	if i := slices.Index(f.server.Args, "--database-url"); i >= 0 {
		d, err = postgres.Open(ctx, f.server.Args[i+1], clock.System{})
	} else {
		d, err = sqlite.Open(ctx, filepath.Join(f.server.Dir, "billet.db"), clock.System{})
	}
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := use(ctx, d); err != nil {
		f.t.Fatal(err)
	}
}
