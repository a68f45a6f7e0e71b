package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// readings is how often one measurement reads the database's clock; the fastest reading counts.
	readings = 3
	// measureEvery is the interval of the measurements while the server runs.
	measureEvery = 10 * time.Second
	// measureTime limits one measurement.
	measureTime = 5 * time.Second
	// drift is the difference that a clock with NTP does not have: from there on it is said, long
	// before the bound.
	drift = time.Second
	// jitter is how far the followed clock may be off before it is corrected, because each
	// correction is a small step.
	jitter = 5 * time.Millisecond
)

// synchronize is what to do about a wrong clock.
const synchronize = "synchronize both machines by NTP, for example with chrony; see docs/install.md"

// skewConfig configures a skew.
type skewConfig struct {
	db *db.DB
	// followed is set by each measurement if the database is on another machine; else it is nil.
	followed *clock.Followed
	// machine reads this machine's clock, with a monotonic reading.
	machine func() time.Time
	log     *slog.Logger
	// bound is the maximum difference of this machine's clock.
	bound time.Duration
}

// skew measures how far this machine's clock is ahead of the database's. All replicas use the
// database's time, so a wrong clock does not change rows. But a machine with a wrong clock may have
// other problems, and its logs and signatures are wrong anyway. Beyond the bound the replica claims
// no jobs.
type skew struct {
	skewConfig
	ahead           atomic.Int64
	beyond, drifted atomic.Bool
}

func newSkew(c skewConfig) *skew { return &skew{skewConfig: c} }

// within reports whether the clock was within the bound at the last measurement.
func (s *skew) within() bool { return !s.beyond.Load() }

// measure compares the clocks, and logs a change of the result.
func (s *skew) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, measureTime)
	defer cancel()
	var here, theirs time.Time
	best := time.Duration(-1)
	for range readings {
		began := s.machine()
		said, err := db.Time(ctx, s.db)
		took := s.machine().Sub(began)
		if err != nil {
			return err
		}
		if best < 0 || took < best {
			here, theirs, best = began.Add(took/2), said, took
		}
	}
	if f := s.followed; f != nil {
		if off := f.At(here).Sub(theirs); off.Abs() > best/2+jitter || !f.Followed() {
			f.Follow(here, theirs)
		}
	}
	ahead := here.Round(0).Sub(theirs) // what the clock shows, not the time that has passed
	s.ahead.Store(int64(ahead))
	off := ahead.Abs() - best/2 // at least
	beyond, drifted := off > s.bound, off > min(drift, s.bound)
	wasBeyond, hadDrifted := s.beyond.Swap(beyond), s.drifted.Swap(drifted)
	switch {
	case beyond:
		s.log.ErrorContext(ctx,
			"this machine's clock differs from the database's by more than the bound: this replica claims no jobs "+
				"until it is corrected; "+synchronize,
			"ahead", ahead, "bound", s.bound)
	case wasBeyond:
		s.log.InfoContext(ctx, "this machine's clock is within the bound again, and this replica claims jobs",
			"ahead", ahead, "bound", s.bound)
	case drifted && !hadDrifted:
		s.log.WarnContext(ctx, "this machine's clock differs from the database's: "+synchronize,
			"ahead", ahead, "bound", s.bound)
	case !drifted && hadDrifted:
		s.log.InfoContext(ctx, "this machine's clock agrees with the database's again", "ahead", ahead)
	}
	return nil
}

// gauge returns the metric of the skew.
func (s *skew) gauge() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "billet_clock_skew_seconds",
		Help: "How far this machine's clock is ahead of the database's, when last measured. A replica beyond " +
			"--max-clock-skew claims no jobs.",
	}, func() float64 { return time.Duration(s.ahead.Load()).Seconds() })
}
