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
	// readings is how often the database's clock is read for one measurement, of which the quickest answer counts.
	readings = 3
	// measureEvery is how often it is measured while the server runs.
	measureEvery = 10 * time.Second
	// measureTime is how long one measurement may take.
	measureTime = 5 * time.Second
	// jitter is how far the followed clock may be off before it is set anew: each setting is a small step.
	jitter = 5 * time.Millisecond
)

// skewConfig is what a skew needs.
type skewConfig struct {
	db *db.DB
	// followed is set by each measurement where the database is another machine's; nil where it is this one's.
	followed *clock.Followed
	// machine reads this machine's clock, with a monotonic reading.
	machine func() time.Time
	log     *slog.Logger
	// bound is how far this machine's clock may be off.
	bound time.Duration
}

// skew is how far this machine's clock is ahead of the database's. All replicas count in the database's time, so a clock that is
// wrong makes no difference to rows; but whoever cannot keep a clock may have more that is wrong, and what he writes into
// logs and signs is wrong anyway. Beyond the bound the replica takes no jobs.
type skew struct {
	skewConfig
	ahead  atomic.Int64
	beyond atomic.Bool
}

func newSkew(c skewConfig) *skew { return &skew{skewConfig: c} }

// within tells whether the clock was within the bound when it was last measured.
func (s *skew) within() bool { return !s.beyond.Load() }

// measure compares the clocks and says so where the outcome is another than before.
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
	ahead := here.Round(0).Sub(theirs) // what the clock shows, not what has passed
	s.ahead.Store(int64(ahead))
	beyond := ahead.Abs()-best/2 > s.bound
	switch was := s.beyond.Swap(beyond); {
	case beyond:
		s.log.ErrorContext(ctx, "this machine's clock differs from the database's by more than the bound: this replica takes no jobs until it is set right",
			"ahead", ahead, "bound", s.bound)
	case was:
		s.log.InfoContext(ctx, "this machine's clock is within the bound again: this replica takes jobs", "ahead", ahead, "bound", s.bound)
	}
	return nil
}

// gauge is the metric of the skew.
func (s *skew) gauge() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "billet_clock_skew_seconds",
		Help: "How far this machine's clock is ahead of the database's, when last measured. A replica beyond --max-clock-skew takes no jobs.",
	}, func() float64 { return time.Duration(s.ahead.Load()).Seconds() })
}
