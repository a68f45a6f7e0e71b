package migrate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/db/sqlite"
	"github.com/pressly/goose/v3"
)

// Launches of before count in the figures, each once; what is under way or was called off does not.
func TestLaunchesOfBeforeAreCounted(t *testing.T) {
	run := func(t *testing.T, d *db.DB, dialect goose.Dialect) {
		p, err := goose.NewProvider(dialect, d.Handle(), os.DirFS("sql"), goose.WithDisableGlobalRegistry(true))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.UpTo(t.Context(), 20); err != nil {
			t.Fatal(err)
		}
		for id, rest := range map[string]string{
			"runs": "'running', 'ready', 61000000, NULL", "ended": "'terminated', 'confirmed_ended', 31000000, 90000000", "lacked": "'failed', 'no_capacity', NULL, 4000000",
			"late": "'failed', 'timed_out', NULL, 901000000", "called off": "'terminated', 'confirmed_ended', NULL, 5000000", "under way": "'deploying', 'launching', NULL, NULL",
		} {
			if _, err := d.Handle().ExecContext(t.Context(), `INSERT INTO deployment (id, account_id, name, reason, provider, region, offer_id, offer_key, gpu_type, gpu_count, instance_type,
				operating_system, hourly_price, cost_price, abilities, authorized_keys, cloud_init, steps, action, action_argument, machine_id, address, ssh_user, ssh_port, ssh_host_keys,
				minimum_runtime, termination_protection, created_at, launch_by, status, cause, started_at, ended_at)
				VALUES ($1, 'a', 'n', '', 'p', 'r', 'off_1', 'k', 'g', 1, 'VM', 'os', 1, 1, '{}', '[]', '', '[]', '', '', '', '', '', 22, '[]', 0, 0, 1000000, 2, `+rest+`)`, id); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // down and up again, too
			if _, err := p.UpTo(t.Context(), 21); err != nil {
				t.Fatal(err)
			}
			rows, err := d.Query(t.Context(), `SELECT deployment_id, outcome, seconds FROM catalog_attempt WHERE offer_id = 'off_1' AND provider = 'p' AND instance_type = 'VM' ORDER BY deployment_id`)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for rows.Next() {
				var id, outcome string
				var seconds int
				if err := rows.Scan(&id, &outcome, &seconds); err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprint(id, "=", outcome, "/", seconds))
			}
			if err := rows.Err(); err != nil || strings.Join(got, " ") != "ended=ssh/30 lacked=no_capacity/3 late=failed/900 runs=ssh/60" {
				t.Errorf("%v, %v", got, err)
			}
			_ = rows.Close()
			if _, err := p.DownTo(t.Context(), 20); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		d, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "old.db"), clock.NewFrozen(dbtest.Start))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		run(t, d, goose.DialectSQLite3)
	})
	t.Run("postgres", func(t *testing.T) {
		d := dbtest.Postgres(t, clock.NewFrozen(dbtest.Start))
		if _, err := d.Handle().ExecContext(t.Context(), `DROP SCHEMA public CASCADE; CREATE SCHEMA public`); err != nil {
			t.Fatal(err)
		}
		run(t, d, goose.DialectPostgres)
	})
}
