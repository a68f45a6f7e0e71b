package crash_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
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
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/wallet"
)

// snapshot is everything to compare, at rest.
type snapshot struct {
	h                *history
	earliest, latest time.Time // the server's clock was between these
	deps             map[string]apiDeployment
	vols             map[string]apiVolume
	keys             map[string]string // names by id
	upstream         app.SimStatus

	machines  []machineFile
	volumes   []volumeFile
	charges   map[string]map[int64]charge // by subject and hour
	holds     map[string]hold
	meters    map[string]meterRow
	lines     []line
	events    map[string]map[string]int // by subject and type
	causes    map[string]string         // the cause of a deployment's end
	audit     []string
	leftovers []string // failing jobs
	books
}

// machineFile and volumeFile are the upstream's own records.
type machineFile struct {
	Provider, Reference, Phase, OfferKey string
}

type volumeFile struct {
	Provider, Reference, AttachedTo string
	SizeGB                          int64
}

type charge struct{ amount, price, from, refunded int64 }

type hold struct {
	amount int64
	open   bool
}

type meterRow struct {
	price, hours, cost, started int64
	stopped                     *int64
}

// line is a hold in a statement.
type line struct {
	subject          string
	amount, leftOver int64
}

func (s *snapshot) readDatabase() {
	h, ctx := s.h, context.Background()
	var d *db.DB
	var err error
	if i := slices.Index(h.server.Args, "--database-url"); i >= 0 {
		d, err = postgres.Open(ctx, h.server.Args[i+1], clock.System{})
	} else {
		d, err = sqlite.Open(ctx, filepath.Join(h.server.Dir, "billet.db"), clock.System{})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	ledger := wallet.New(wallet.Config{DB: d, IDs: id.NewMaker(clock.System{}, rand.Reader)})
	if s.audit, err = ledger.Audit(ctx); err != nil {
		h.t.Fatal(err)
	}
	each := func(query string, row func(scan func(...any) error) error) {
		rows, err := d.Query(ctx, query)
		if err != nil {
			h.t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			if err := row(rows.Scan); err != nil {
				h.t.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			h.t.Fatal(err)
		}
	}
	s.charges, s.holds, s.meters = map[string]map[int64]charge{}, map[string]hold{}, map[string]meterRow{}
	s.events, s.causes = map[string]map[string]int{}, map[string]string{}
	each(
		`SELECT subject, hour, amount, hourly_price, from_at, refunded FROM wallet_charge`,
		func(scan func(...any) error) error {
			var subject string
			var hour int64
			var c charge
			err := scan(&subject, &hour, &c.amount, &c.price, &c.from, &c.refunded)
			if s.charges[subject] == nil {
				s.charges[subject] = map[int64]charge{}
			}
			s.charges[subject][hour] = c
			return err
		},
	)
	each(
		`SELECT subject, amount, CASE WHEN settled_at IS NULL THEN 1 ELSE 0 END FROM wallet_hold`,
		func(scan func(...any) error) error {
			var subject string
			var x hold
			var open int
			err := scan(&subject, &x.amount, &open)
			x.open = open == 1
			s.holds[subject] = x
			return err
		},
	)
	each(
		`SELECT subject, hourly_price, hours, cost, started_at, stopped_at FROM meter`,
		func(scan func(...any) error) error {
			var subject string
			var m meterRow
			err := scan(&subject, &m.price, &m.hours, &m.cost, &m.started, &m.stopped)
			s.meters[subject] = m
			return err
		},
	)
	each(
		`SELECT subject, amount, available_after FROM wallet_transaction WHERE type = 'hold'`,
		func(scan func(...any) error) error {
			var l line
			err := scan(&l.subject, &l.amount, &l.leftOver)
			s.lines = append(s.lines, l)
			return err
		},
	)
	each(`SELECT subject, type, COUNT(*) FROM event GROUP BY subject, type`, func(scan func(...any) error) error {
		var subject, kind string
		var n int
		err := scan(&subject, &kind, &n)
		if s.events[subject] == nil {
			s.events[subject] = map[string]int{}
		}
		s.events[subject][kind] = n
		return err
	})
	each(`SELECT subject, data FROM event WHERE type = 'deployment.terminating'`, func(scan func(...any) error) error {
		var subject, text string
		var e struct{ Cause string }
		if err := scan(&subject, &text); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(text), &e)
		s.causes[subject] = e.Cause
		return err
	})
	s.readBooks(each)
	each(`SELECT kind, subject, last_error FROM job WHERE failures > 2`, func(scan func(...any) error) error {
		var kind, subject, last string
		err := scan(&kind, &subject, &last)
		// Stripe repeats an internal error for a day. A charge is made with another key after a
		// quarter of an hour, which begins again when the server does.
		if kind == string(payment.KindSettle) && strings.Contains(last, "HTTP 500 api_error") {
			return err
		}
		s.leftovers = append(s.leftovers, kind+" "+subject+": "+last)
		return err
	})
}

// readUpstream reads the upstream's records, including those of ended machines, without the
// server.
func (s *snapshot) readUpstream() {
	read := func(pattern string, each func(text []byte) error) {
		files, err := filepath.Glob(filepath.Join(s.h.server.Dir, "sim", pattern))
		if err != nil {
			s.h.t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err == nil {
				err = each(text)
			}
			if err != nil {
				s.h.t.Fatalf("%s: %v", f, err)
			}
		}
	}
	read("machines/*/*/machine.json", func(text []byte) error {
		var m machineFile
		err := json.Unmarshal(text, &m)
		s.machines = append(s.machines, m)
		return err
	})
	read("volumes/*/*/volume.json", func(text []byte) error {
		var v volumeFile
		err := json.Unmarshal(text, &v)
		s.volumes = append(s.volumes, v)
		return err
	})
}
