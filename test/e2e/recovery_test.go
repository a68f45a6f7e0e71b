package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/test/servertest"
)

// worldBackup is a way to make and restore a backup, with the programs that an operator would use.
type worldBackup struct {
	args []string
	// make makes the backup and returns its time, restore puts it in place of the database.
	make    func(t *testing.T, s *servertest.Server) time.Time
	restore func(t *testing.T, s *servertest.Server, at time.Time)
}

// output runs a program, which must succeed, and returns what it printed.
func output(t *testing.T, stdin []byte, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(string(stdin))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, said.String())
	}
	return string(out)
}

// builtInBackup uses `billetd backup` with a key of age-keygen. The backup can be unpacked with age
// and tar alone.
func builtInBackup(t *testing.T) worldBackup {
	dir := t.TempDir()
	file, key := filepath.Join(dir, "billet.backup"), filepath.Join(dir, "key.txt")
	return worldBackup{
		make: func(t *testing.T, s *servertest.Server) time.Time {
			output(t, nil, "age-keygen", "-o", key)
			recipient := strings.TrimSpace(output(t, nil, "age-keygen", "-y", key))
			s.Run("backup", "--output", file, "--recipient", recipient)
			if out, err := s.TryRun("backup", "--output", file, "--recipient", recipient); err == nil ||
				!strings.Contains(out, "exists already") {
				t.Errorf("a second backup to the same file: %v %s", err, out)
			}
			var m struct {
				CreatedAt time.Time
				Bytes     int64
			}
			plain := []byte(output(t, nil, "age", "-d", "-i", key, file))
			output(t, plain, "tar", "xzC", dir)
			text, err := os.ReadFile(filepath.Join(dir, "backup.json"))
			if err == nil {
				err = json.Unmarshal(text, &m)
			}
			database, e := os.Stat(filepath.Join(dir, "billet.db"))
			if err != nil || e != nil || database.Size() != m.Bytes {
				t.Fatalf("unpacked: %v %v %+v", err, e, m)
			}
			return m.CreatedAt
		},
		restore: func(t *testing.T, s *servertest.Server, _ time.Time) {
			if out, err := s.TryRun("restore", "--input", file, "--identity", key); err == nil ||
				!strings.Contains(out, "exists already") {
				t.Errorf("a restore over a database: %v %s", err, out)
			}
			for _, name := range []string{"billet.db", "billet.db-wal", "billet.db-shm"} {
				_ = os.Remove(filepath.Join(s.Dir, name))
			}
			if out, err := s.TryRun("restore", "--input", file); err == nil || !strings.Contains(out, "--identity") {
				t.Errorf("without a key: %v %s", err, out)
			}
			s.Run("restore", "--input", file, "--identity", key)
		},
	}
}

// postgresBackup uses pg_dump and pg_restore.
func postgresBackup(t *testing.T) worldBackup {
	url, file := dbtest.PostgresURL(t), filepath.Join(t.TempDir(), "billet.dump")
	tools, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(tools) == 0 {
		t.Fatalf("no PostgreSQL programs: %v", err)
	}
	bin := tools[len(tools)-1]
	return worldBackup{
		args: []string{"--database-url", url},
		make: func(t *testing.T, s *servertest.Server) time.Time {
			now := simulatedNow(t, s)
			output(t, nil, filepath.Join(bin, "pg_dump"), "--format=custom", "--file", file, url)
			return now
		},
		restore: func(t *testing.T, s *servertest.Server, at time.Time) {
			output(t, nil, filepath.Join(bin, "pg_restore"), "--clean", "--if-exists", "--dbname", url, file)
			s.Run("recovery", "begin", "--backup-at", at.Format(time.RFC3339))
		},
	}
}

func simulatedNow(t *testing.T, s *servertest.Server) time.Time {
	t.Helper()
	var status struct{ Now time.Time }
	if err := json.Unmarshal([]byte(s.Run("sim", "status", "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	return status.Now.Truncate(time.Second)
}

func moment(t *testing.T, d map[string]any, field string) time.Time {
	t.Helper()
	text, _ := d[field].(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatalf("%s of %v: %v", field, d, err)
	}
	return at
}

func recoveryOf(t *testing.T, s *servertest.Server) (v struct {
	InRecovery bool
	Recovery   *struct{ BackupAt time.Time }
	Undecided  []struct{ ID, Reference string }
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.Run("recovery", "status", "-o", "json")), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// A server is restored from a backup of two hours ago. Meanwhile one machine was launched, and
// another one ended.
func TestRestoredServerEndsNothingByItself(t *testing.T) {
	for name, engine := range map[string]func(*testing.T) worldBackup{
		"sqlite": builtInBackup, "postgres": postgresBackup,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := engine(t)
			s := servertest.Start(t, append(b.args, "--sim", "--sim-machines", "banner")...)
			account, key := s.Key("10000", "--read-limit", "10000", "--deploy-limit", "100")
			public := newIdentity(t).public
			kept := s.Running(key, s.Deploy(key, "kept", public))["id"].(string)
			gone := s.Running(key, s.Deploy(key, "gone", public))["id"].(string)
			s.Advance("10m")
			at := b.make(t, s)
			s.Advance("2h")
			adopted := s.Running(key, s.Deploy(key, "adopted", public))["id"].(string)
			ended := s.Running(key, s.Deploy(key, "ended", public))["id"].(string)
			if a := s.Call(key, "DELETE", "/deployments/"+gone, nil); a.Status != 200 && a.Status != 202 {
				t.Fatalf("terminate: %d %s", a.Status, a.Body)
			}
			s.Advance("5m")
			s.Stop()
			b.restore(t, s, at)
			s.Restart()
			r := restored{t, s, account, key, kept, gone, adopted, ended, at}
			r.standsStill()
			r.ends()
			r.hasTheBooksInOrder()
			s.Running(key, s.Deploy(key, "new", public))
			s.Run("ledger", "verify")
		})
	}
}

// restored is a server that was restored, with what was there before: a machine that is kept, one
// that has ended since the backup, and two that were launched since.
type restored struct {
	t              *testing.T
	s              *servertest.Server
	account, key   string
	kept, gone     string
	adopted, ended string
	at             time.Time
}

// adopt gives the machine of an issue back to the account.
func (r restored) adopt(issue string) {
	r.t.Helper()
	operator := r.s.KeyOf(r.account, "--scopes", operatorScopes)
	a := r.s.Call(operator, "POST", "=/api/v1/operator/issues/"+issue+"/adopt", map[string]any{
		"accountId": r.account, "offerId": "off_abc123", "operatingSystem": "Ubuntu 22.04", "name": "adopted",
	})
	if a.Status != 200 || a.Data["state"] != "dismissed" {
		r.t.Fatalf("adopt: %d %s", a.Status, a.Body)
	}
	d := r.s.Call(r.key, "GET", "/deployments/"+r.adopted, nil).Data
	if d["status"] != "running" || d["costToDate"] != d["hourlyPrice"] {
		r.t.Errorf("adopted: %v", d)
	}
}

func (r restored) standsStill() {
	t, s := r.t, r.s
	t.Helper()
	s.AwaitLog("is in recovery")

	if a := s.Call(r.key, "GET", "/deployments/"+r.gone, nil); a.Data["status"] != "running" {
		t.Errorf("the database as of the backup: %s", a.Body)
	}
	a := s.Call(r.key, "DELETE", "/deployments/"+r.kept, nil)
	if a.Status != 503 || a.Code() != "SERVICE_UNAVAILABLE" || a.Header.Get("Retry-After") != "60" ||
		!strings.Contains(string(a.Body), "backup") {
		t.Errorf("a change during the recovery: %d %s", a.Status, a.Body)
	}
	s.Advance("5h") // many rounds of the watch, a grace period, hours that are due
	v := recoveryOf(t, s)
	late := []string{r.adopted, r.ended}
	var undecided []string
	for _, i := range v.Undecided {
		undecided = append(undecided, i.Reference)
	}
	if !v.InRecovery || !v.Recovery.BackupAt.Equal(r.at) || !slices.Equal(sorted(undecided), sorted(late)) {
		t.Fatalf("%+v, want %v undecided and the backup of %s", v, late, r.at)
	}
	if got := sorted(upstream(t, s)); !slices.Equal(got, sorted(append(late, r.kept))) {
		t.Errorf("upstream %v, want %v and %s", got, late, r.kept)
	}
	if out, err := s.TryRun("recovery", "end"); err == nil || !strings.Contains(out, "billetd issues list") {
		t.Errorf("the end with an undecided machine: %v %s", err, out)
	}
	reset := map[string]any{"email": "a@example.com"}
	if a := s.Call("", "POST", "=/api/v1/account/password-resets", reset); a.Status != 503 {
		t.Errorf("a public change during the recovery: %d %s", a.Status, a.Body)
	}
	for _, i := range v.Undecided {
		if i.Reference == r.ended {
			s.Run("issues", "terminate", "--issue", i.ID)
		} else {
			r.adopt(i.ID)
		}
	}
	s.Advance("2m")
	if got := sorted(upstream(t, s)); !slices.Equal(got, sorted([]string{r.kept, r.adopted})) {
		t.Errorf("upstream %v, want %s and %s", got, r.kept, r.adopted)
	}
}

func (r restored) ends() {
	t, s := r.t, r.s
	t.Helper()
	s.Run("recovery", "end")
	s.Until("the recovery ends", func() bool { return !recoveryOf(t, s).InRecovery })
	s.AwaitLog("the recovery has ended")
	s.Until("tenants change things again", func() bool {
		return s.Call(r.key, "PATCH", "/deployments/"+r.kept, map[string]any{"name": "kept on"}).Status == 200
	})
}

func (r restored) hasTheBooksInOrder() {
	t, s := r.t, r.s
	t.Helper()
	d := s.Call(r.key, "GET", "/deployments/"+r.gone, nil).Data
	if d["status"] != "interrupted" || !moment(t, d, "billedUntil").Equal(r.at) {
		t.Errorf("%v, want it interrupted and billed until %s", d, r.at)
	}
	s.Advance("1m")
	d = s.Call(r.key, "GET", "/deployments/"+r.adopted, nil).Data
	if d["status"] != "running" || d["ipAddress"] == nil {
		t.Errorf("%v, want it running, with its address", d)
	}
	d = s.Call(r.key, "GET", "/deployments/"+r.kept, nil).Data
	hours := simulatedNow(t, s).Sub(moment(t, d, "startedAt"))/time.Hour + 1
	if price, cost := d["hourlyPrice"].(float64), d["costToDate"].(float64); d["status"] != "running" ||
		cost != price*float64(hours) {
		t.Errorf("%v, want %d hours at %v", d, hours, price)
	}
}
