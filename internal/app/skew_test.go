package app

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/prometheus/client_golang/prometheus"
)

// A machine's clock is ahead by two minutes and set right later. Rows bear the database's time all
// along; jobs are taken while the clock is right, and what is wrong is said, in the log and as a
// metric.
func TestReplicaUsesTheDatabaseClockAndReportsSkew(t *testing.T) {
	// Each measurement may be off by as long as this machine stalls, which is less.
	const tolerance = 30 * time.Second
	wrong := 130 * time.Second
	machine := func() time.Time { return time.Now().Add(wrong) }
	followed := clock.NewFollowed(machine)
	if got := time.Until(followed.Now()); got < wrong-tolerance {
		t.Fatalf("before anything was read it is the machine's, not %s ahead", got)
	}
	var log bytes.Buffer
	d := dbtest.Postgres(t, followed)
	s := newSkew(skewConfig{db: d, followed: followed, machine: machine, log: slog.New(slog.NewTextHandler(&log, nil)),
		bound: 5 * time.Second})
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.gauge())
	shown := func() float64 {
		all, err := registry.Gather()
		if err != nil || len(all) != 1 || all[0].GetName() != "billet_clock_skew_seconds" {
			t.Fatalf("%v %v", all, err)
		}
		return all[0].GetMetric()[0].GetGauge().GetValue()
	}
	near := func(what string) {
		t.Helper()
		theirs, err := db.Time(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if off := followed.Now().Sub(theirs).Abs(); off > tolerance {
			t.Errorf("%s: off by %s", what, off)
		}
	}
	if err := s.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := shown(); s.within() || math.Abs(got-130) > tolerance.Seconds() ||
		!strings.Contains(log.String(), "claims no jobs") {
		t.Errorf("within: %t, shown as %v s\n%s", s.within(), got, &log)
	}
	near("ahead")
	wrong = 0
	log.Reset()
	if err := s.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := shown(); !s.within() || math.Abs(got) > tolerance.Seconds() ||
		!strings.Contains(log.String(), "claims jobs") {
		t.Errorf("within: %t, shown as %v s\n%s", s.within(), got, &log)
	}
	near("set right")
}

// A clock that drifts is said once, long before jobs stop, and once more when it is right again.
func TestDriftIsSaidBeforeTheBound(t *testing.T) {
	var wrong time.Duration
	var log bytes.Buffer
	s := newSkew(skewConfig{db: dbtest.SQLite(t, clock.System{}), log: slog.New(slog.NewTextHandler(&log, nil)),
		machine: func() time.Time { return time.Now().Add(wrong) }, bound: time.Hour})
	for _, c := range []struct {
		off  time.Duration
		want string // "" for nothing
	}{
		{0, ""}, {-20 * time.Minute, "level=WARN"}, {-20 * time.Minute, ""}, {0, "agrees with the database's again"},
		{20 * time.Minute, "chrony"}, {2 * time.Hour, "level=ERROR"}, {20 * time.Minute, "claims jobs"},
		{0, "agrees with the database's again"},
	} {
		wrong = c.off
		log.Reset()
		if err := s.measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if said := log.String(); (c.want == "") != (said == "") || !strings.Contains(said, c.want) {
			t.Errorf("off by %s: got %q, want %q", c.off, said, c.want)
		}
		if s.within() != (c.off.Abs() < time.Hour) {
			t.Errorf("off by %s: within is %t", c.off, s.within())
		}
	}
}

// The whole server is built so: its clock is the database's, whatever its machine's says, and its
// jobs wait for that to be set right.
func TestServicesUseTheDatabaseClock(t *testing.T) {
	c := Default()
	c.DataDir, c.DatabaseURL, c.Version, c.Log = t.TempDir(), dbtest.PostgresURL(t), "test",
		slog.New(slog.DiscardHandler)
	a, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	if f, is := a.Clock.(*clock.Followed); !is || !f.Followed() {
		t.Errorf("the clock is %T, and was not read", a.Clock)
	}
	if a.skew.followed == nil || !a.skew.within() || a.skew.bound != DefaultMaxClockSkew {
		t.Errorf("%+v", a.skew)
	}
}
