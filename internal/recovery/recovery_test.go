package recovery_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/internal/recovery"
)

// world is a database in recovery, with what its service finds.
type world struct {
	t          *testing.T
	db         *db.DB
	clock      *clock.Simulated
	issues     *issue.Service
	svc        *recovery.Service
	unasked    []string
	own        int64
	compareErr error
	settleErr  error
	settled    []time.Time
	// atCompare is done at the next comparison.
	atCompare func()
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		log := slog.New(slog.DiscardHandler)
		market, err := sim.Open(t.Context(), sim.Config{Dir: t.TempDir(), Clock: c, Log: log, Listen: sim.ListenBanner})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = market.Close() })
		ids := id.NewMaker(c, rand.Reader)
		jobs := job.NewQueue(ids)
		w := &world{t: t, db: d, clock: c, issues: issue.New(issue.Config{IDs: ids, Jobs: jobs, Log: log})}
		w.svc = recovery.New(recovery.Config{
			DB: d, Jobs: jobs, Log: log, Issues: w.issues, Providers: provider.NewRegistry(market.Providers()[0]),
			Compare: func(context.Context, id.ID) error {
				if w.atCompare != nil {
					w.atCompare()
				}
				return w.compareErr
			},
			Settle: func(_ context.Context, _ string, at time.Time, confirmed bool) (int, error) {
				if confirmed {
					return 1, nil
				}
				w.settled = append(w.settled, at)
				return 0, w.settleErr
			},
			Unasked:    func(context.Context) ([]string, error) { return w.unasked, nil },
			OwnServers: func(context.Context, db.Reader) (int64, error) { return w.own, nil },
		})
		f(t, w)
	})
}

func (w *world) begin(at time.Time) error {
	return w.db.InTx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := recovery.Begin(ctx, tx, at)
		return err
	})
}

func (w *world) requestEnd(c recovery.Confirmed) error {
	return w.db.InTx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := w.svc.RequestEnd(ctx, tx, c)
		return err
	})
}

func (w *world) find() (recovery.Recovery, bool) {
	w.t.Helper()
	v, on, err := recovery.Find(w.t.Context(), w.db)
	if err != nil {
		w.t.Fatal(err)
	}
	return v, on
}

func (w *world) orphan() {
	w.t.Helper()
	err := w.db.InTx(w.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		return w.issues.Raise(ctx, tx, "basalt", issue.Sighting{
			Kind: issue.OrphanedMachine, UpstreamID: "m-1", Reference: "dep_01m8q542j484c8npvd751wegd8", Endable: true,
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantOn(problem string) {
	w.t.Helper()
	v, on := w.find()
	if !on || v.Problem == nil || !strings.Contains(*v.Problem, problem) || v.EndingSince != nil {
		w.t.Errorf("%+v, on: %t, want it to go on because of %q", v, on, problem)
	}
}

func TestRecoveryEndsOnceAllIsSettled(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		at := w.clock.Now().Add(-time.Hour)
		if err := errors.Join(w.begin(at), w.requestEnd(recovery.Confirmed{})); err != nil {
			t.Fatal(err)
		}
		w.compareErr = errors.New("no answer")
		if _, err := w.svc.End(t.Context(), recovery.Fleet); !errors.Is(err, w.compareErr) {
			t.Errorf("while a provider does not answer: %v", err)
		}
		if v, on := w.find(); !on || v.EndingSince == nil {
			t.Errorf("%+v, want it to be ended later", v)
		}
		w.compareErr = nil
		for range 2 { // repeated
			if _, err := w.svc.End(t.Context(), recovery.Fleet); err != nil {
				t.Fatal(err)
			}
		}
		if v, on := w.find(); on || v.EndedAt == nil || len(w.settled) != 1 || !w.settled[0].Equal(at) {
			t.Errorf("%+v, settled as of %v", v, w.settled)
		}
	})
}

func TestRecoveryGoesOnWhileSomethingIsUnclear(t *testing.T) {
	for problem, prepare := range map[string]func(w *world){
		"voltage-park": func(w *world) { w.unasked = []string{"voltage-park"} },
		"has no deployment": func(w *world) {
			w.atCompare = w.orphan // which the request to end did not know yet
		},
		"--all-missing": func(w *world) { w.settleErr = fmt.Errorf("basalt: %w", deployment.ErrNoMachines) },
	} {
		t.Run(problem, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				if err := errors.Join(w.begin(w.clock.Now()), w.requestEnd(recovery.Confirmed{})); err != nil {
					t.Fatal(err)
				}
				prepare(w)
				if _, err := w.svc.End(t.Context(), recovery.Fleet); err != nil {
					t.Fatal(err)
				}
				w.wantOn(problem)
			})
		})
	}
}

func TestRequestToEndIsRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if err := w.requestEnd(recovery.Confirmed{}); err == nil {
			t.Error("accepted without a recovery")
		}
		if err := w.begin(w.clock.Now().Add(time.Minute)); err == nil {
			t.Error("a backup of the future was accepted")
		}
		if err := w.begin(w.clock.Now()); err != nil {
			t.Fatal(err)
		}
		w.own = 4
		if err := w.requestEnd(recovery.Confirmed{}); err == nil ||
			!strings.Contains(err.Error(), "--own-servers-unchanged") {
			t.Errorf("with own servers: %v", err)
		}
		if err := w.requestEnd(recovery.Confirmed{OwnServers: true}); err != nil {
			t.Errorf("confirmed: %v", err)
		}
		w.orphan()
		if err := w.requestEnd(recovery.Confirmed{OwnServers: true}); err == nil {
			t.Error("accepted with an undecided machine")
		}
	})
}

// A database that was backed up during a recovery is as old as the first backup.
func TestBackupDuringRecoveryKeepsTheEarlierTime(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.clock.Now().Add(-2 * time.Hour)
		if err := errors.Join(w.begin(first), w.begin(w.clock.Now())); err != nil {
			t.Fatal(err)
		}
		if v, on := w.find(); !on || !v.BackupAt.Equal(first) {
			t.Errorf("%+v, want the backup of %s", v, first)
		}
	})
}
