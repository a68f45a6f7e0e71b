package retention_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/retention"
)

const day = 24 * time.Hour

// world has events and audit entries, and what deletes them.
type world struct {
	t       *testing.T
	d       *db.DB
	c       *clock.Simulated
	events  *event.Service
	audit   *audit.Service
	jobs    *job.Queue
	dir     string
	deleted map[string]int64
}

func newWorld(t *testing.T, d *db.DB, c *clock.Simulated) *world {
	ids := id.NewMaker(c, rand.Reader)
	return &world{
		t: t, d: d, c: c, events: event.New(ids), audit: audit.New(ids), jobs: job.NewQueue(ids), dir: t.TempDir(),
		deleted: map[string]int64{},
	}
}

// add adds n events of the account, and as many audit entries.
func (w *world) add(account id.ID, n int) {
	w.t.Helper()
	events, entries := make([]event.Event, n), make([]audit.Entry, n)
	for i := range n {
		events[i] = event.Event{Account: account, Subject: "dep_1", Type: "deployment.running",
			Data: map[string]any{"n": i, "text": `<"ü">`}}
		entries[i] = audit.Entry{Account: account, Action: "createDeployment", Subject: "dep_1"}
	}
	err := w.d.InTx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		return errors.Join(w.events.Append(ctx, tx, events...), w.audit.Append(ctx, tx, entries...))
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) service(dir string, events retention.Rows) *retention.Service {
	return retention.New(retention.Config{
		DB: w.d, Jobs: w.jobs, Clock: w.c, Log: slog.New(slog.DiscardHandler), Dir: dir,
		Kinds: []retention.Kind{
			{Name: "events", Keep: 90 * day, Rows: events}, {Name: "audit", Keep: 365 * day, Rows: w.audit},
		},
		Deleted: func(kind string, n int64) { w.deleted[kind] += n },
	})
}

func (w *world) purge(s *retention.Service) {
	w.t.Helper()
	if _, err := s.Purge(w.t.Context(), retention.Fleet); err != nil {
		w.t.Fatal(err)
	}
}

// lines returns the lines of the archive's files of that kind, in the order of their names.
func (w *world) lines(kind string) []map[string]any {
	w.t.Helper()
	var out []map[string]any
	err := filepath.WalkDir(filepath.Join(w.dir, kind), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if !strings.HasSuffix(path, ".jsonl") {
			w.t.Errorf("%s was left", path)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		n := 0
		err = w.d.QueryRow(w.t.Context(), `SELECT COUNT(*) FROM archive_file
			WHERE kind = $1 AND sha256 = $2 AND lines = $3`,
			kind, hex.EncodeToString(sum[:]), bytes.Count(b, []byte("\n"))).Scan(&n)
		if err != nil || n != 1 {
			w.t.Errorf("%d rows prove %s, %v", n, path, err)
		}
		for line := range strings.Lines(string(b)) {
			v := map[string]any{}
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				return err
			}
			out = append(out, v)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	return out
}

func TestOldRowsAreArchivedAndDeleted(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c)
		start := c.Now()
		w.add("acc_1", 2100) // more than a file has lines
		w.add("acc_2", 1)
		c.Advance(50 * day)
		w.add("acc_1", 3)
		s := w.service(w.dir, w.events)
		w.purge(s)
		if got := w.lines("events"); len(got) != 0 || len(w.deleted) != 0 {
			t.Fatalf("%d events are archived, %v deleted, before their time", len(got), w.deleted)
		}
		c.Advance(41 * day)
		w.purge(s)
		w.purge(s)
		got := w.lines("events")
		if len(got) != 2101 || w.deleted["events"] != 2101 || w.deleted["audit"] != 0 {
			t.Fatalf("%d events are archived, %v deleted", len(got), w.deleted)
		}
		first := got[0]
		if first["account"] != "acc_1" || first["number"] != 1.0 || first["type"] != "deployment.running" ||
			first["subject"] != "dep_1" || first["createdAt"] != start.Format(time.RFC3339Nano) ||
			fmt.Sprint(first["data"]) != `map[n:0 text:<"ü">]` {
			t.Errorf("the first line is %v", first)
		}
		seen := map[any]bool{}
		for _, line := range got {
			seen[line["id"]] = true
		}
		if len(seen) != 2101 {
			t.Errorf("%d of the events are different", len(seen))
		}
		list, of, err := w.events.History(t.Context(), d, "acc_1", event.Filter{}, db.Page{Number: 2, Limit: 2})
		if err != nil || of.Total != 3 || len(list) != 1 {
			t.Errorf("the second page of what is kept has %d of %+v, %v", len(list), of, err)
		}
		c.Advance(330 * day)
		w.purge(s)
		if n := len(w.lines("audit")); n != 2104 || w.deleted["audit"] != 2104 {
			t.Errorf("%d audit entries are archived, %v deleted", n, w.deleted)
		}
	})
}

// failing are rows that fail at one point.
type failing struct {
	retention.Rows
	at string
}

var errKilled = errors.New("killed")

func (f *failing) Archive(ctx context.Context, r db.Reader, first, last id.ID, line func(any) error) error {
	n := 0
	return f.Rows.Archive(ctx, r, first, last, func(row any) error {
		if n++; n == 3 && f.at == "writing" {
			return errKilled
		}
		return line(row)
	})
}

func (f *failing) Delete(ctx context.Context, tx *db.Tx, first, last id.ID) (int64, error) {
	if f.at == "before deleting" {
		return 0, errKilled
	}
	n, err := f.Rows.Delete(ctx, tx, first, last)
	if f.at == "before the commit" {
		return n, errKilled
	}
	return n, err
}

// A server that fails while it archives loses and doubles nothing, also if rows have become old
// meanwhile.
func TestInterruptedArchiveLosesAndDoublesNothing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c)
		total := 0
		for _, at := range []string{"writing", "before deleting", "before the commit"} {
			w.add("acc_1", 5)
			total += 5
			c.Advance(91 * day)
			f := &failing{w.events, at}
			s := w.service(w.dir, f)
			if _, err := s.Purge(t.Context(), retention.Fleet); !errors.Is(err, errKilled) {
				t.Fatalf("%s: %v", at, err)
			}
			w.add("acc_1", 2)
			total += 2
			c.Advance(91 * day)
			f.at = ""
			w.purge(s)
			seen := map[any]bool{}
			all := w.lines("events")
			for _, line := range all {
				seen[line["id"]] = true
			}
			if len(all) != total || len(seen) != total {
				t.Errorf("%s: %d lines of %d events, want %d", at, len(all), len(seen), total)
			}
		}
	})
}

// Rows of a begun file that something else deletes do not stop the archive.
func TestRowsThatVanishDoNotStopTheArchive(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c)
		w.add("acc_1", 3)
		w.add("acc_2", 2)
		c.Advance(91 * day)
		f := &failing{w.events, "before deleting"}
		s := w.service(w.dir, f)
		if _, err := s.Purge(t.Context(), retention.Fleet); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		if _, err := d.Handle().ExecContext(t.Context(), `DELETE FROM event WHERE account_id = 'acc_2'`); err != nil {
			t.Fatal(err)
		}
		f.at = ""
		w.purge(s)
		if got := w.lines("events"); len(got) != 3 {
			t.Errorf("%d lines", len(got))
		}
	})
}

// Without a folder rows are deleted, and a file that was begun before is given up.
func TestWithoutFolder(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c)
		w.add("acc_1", 3)
		c.Advance(91 * day)
		if _, err := w.service(w.dir, &failing{w.events, "writing"}).Purge(t.Context(), retention.Fleet); err == nil {
			t.Fatal("no error")
		}
		w.purge(w.service("", w.events))
		n := 0
		err := d.QueryRow(t.Context(),
			`SELECT (SELECT COUNT(*) FROM event) + (SELECT COUNT(*) FROM archive_file)`).Scan(&n)
		if err != nil || n != 0 || w.deleted["events"] != 3 {
			t.Errorf("%d rows are left, %v deleted, %v", n, w.deleted, err)
		}
	})
}

// A reader that stopped where events were deleted continues there. One that misses some is told.
func TestReadersOfDeletedEvents(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorld(t, d, c)
		w.add("acc_1", 3)
		w.add("acc_2", 1)
		all, _, err := w.events.History(t.Context(), d, "acc_1", event.Filter{}, db.Page{Number: 1, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		newest, older := all[0].ID, all[1].ID
		c.Advance(91 * day)
		w.purge(w.service("", w.events))
		if p, err := w.events.Now(t.Context(), d, "acc_1"); err != nil || p.Event != newest {
			t.Errorf("now is after %s, %v", p.Event, err)
		}
		w.add("acc_1", 2)
		for _, from := range []id.ID{newest, event.Beginning} {
			p, found, err := w.events.Behind(t.Context(), d, "acc_1", from)
			if err != nil || !found {
				t.Fatalf("after %s: %t, %v", from, found, err)
			}
			if next, _, err := w.events.Next(t.Context(), d, p, 10); err != nil || len(next) != 2 {
				t.Errorf("after %s: %d events, %v", from, len(next), err)
			}
		}
		_, _, err = w.events.Behind(t.Context(), d, "acc_1", older)
		if err == nil || apierr.CodeOf(err) != apierr.EventExpired {
			t.Errorf("after one that is missing: %v", err)
		}
		_, found, err := w.events.Behind(t.Context(), d, "acc_1", "evt_zzzzzzzzzzzzzzzzzzzzzzzzzz")
		if err != nil || found {
			t.Errorf("after one that never was: %t, %v", found, err)
		}
	})
}

// The archive can be read with another language than ours.
func TestArchiveIsReadByNode(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no node")
	}
	c := clock.NewFrozen(dbtest.Start)
	w := newWorld(t, dbtest.SQLite(t, c), c)
	w.add("acc_1", 4)
	c.Advance(91 * day)
	w.purge(w.service(w.dir, w.events))
	files, err := filepath.Glob(filepath.Join(w.dir, "events", "*", "*.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	out, err := exec.CommandContext(t.Context(), "node", "-e", `
		const text = require('fs').readFileSync(process.argv[1], 'utf8');
		const rows = text.trimEnd().split('\n').map((line) => JSON.parse(line));
		console.log(rows.map((r) => [r.account, r.number, r.data.n, r.data.text].join(' ')).join('\n'));`,
		files[0]).Output()
	want := []string{`acc_1 1 0 <"ü">`, `acc_1 2 1 <"ü">`, `acc_1 3 2 <"ü">`, `acc_1 4 3 <"ü">`}
	if got := strings.Fields(strings.ReplaceAll(strings.TrimSpace(string(out)), " ", "_")); err != nil ||
		!slices.Equal(got, strings.Fields(strings.ReplaceAll(strings.Join(want, "\n"), " ", "_"))) {
		t.Errorf("%s, %v", out, err)
	}
}
