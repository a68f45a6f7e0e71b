package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/idempotency"
	"github.com/billetcloud/billet/internal/job"
)

var first = idempotency.Answer{Status: 201, Header: map[string]string{"Location": "/x"},
	Body: []byte("{\"a\":\"\x00\xff\"}\n")}

// run makes one request: Begin, the effect, Finish.
func run(ctx context.Context, d *db.DB, c clock.Clock, account id.ID, key, hash string,
	effect func() error) (a idempotency.Answer, replay bool, err error) {
	s := idempotency.New(idempotency.Config{DB: d, Clock: c})
	err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		a, replay, err = s.Begin(ctx, tx, account, key, hash)
		if err != nil || replay {
			return err
		}
		if err := effect(); err != nil {
			return err
		}
		a = first
		return s.Finish(ctx, tx, account, key, a)
	})
	return a, replay, err
}

func nothing() error { return nil }

func TestSameRequestGetsSameAnswer(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		if _, replay, err := run(t.Context(), d, c, "acc_a", "k", "h", nothing); replay || err != nil {
			t.Fatal(replay, err)
		}
		c.Advance(idempotency.Window - time.Microsecond)
		a, replay, err := run(t.Context(), d, c, "acc_a", "k", "h",
			func() error { t.Error("the effect was repeated"); return nil })
		if err != nil || !replay || !reflect.DeepEqual(a, first) {
			t.Fatalf("%+v %t %v", a, replay, err)
		}
		if _, _, err := run(t.Context(), d, c, "acc_a", "k", "other", nothing); err == nil ||
			apierr.CodeOf(err) != apierr.IdempotencyKeyReused {
			t.Fatalf("another request under the same key: %v", err)
		}
		if _, replay, err := run(t.Context(), d, c, "acc_b", "k", "other", nothing); replay || err != nil {
			t.Fatal("another account met the key:", replay, err)
		}
		c.Advance(time.Microsecond)
		if _, replay, err := run(t.Context(), d, c, "acc_a", "k", "other", nothing); replay || err != nil {
			t.Fatal("a key older than the window still counted:", replay, err)
		}
	})
}

func TestRolledBackRequestLeavesNothing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		boom := errors.New("crash before the commit")
		if _, _, err := run(t.Context(), d, c, "acc_a", "k", "h", func() error { return boom }); !errors.Is(err, boom) {
			t.Fatal(err)
		}
		done := false
		if _, replay, err := run(t.Context(), d, c, "acc_a", "k", "h2",
			func() error { done = true; return nil }); replay || err != nil || !done {
			t.Fatal("the key was not free again:", replay, err)
		}
	})
}

func TestParallelRequestsHaveOneEffect(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		var effects, replays atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				a, replay, err := run(t.Context(), d, c, "acc_a", "k", "h", func() error {
					if effects.Add(1) == 1 {
						return errors.New("the first one fails: the next must take over")
					}
					return nil
				})
				if replay {
					replays.Add(1)
					if !reflect.DeepEqual(a, first) {
						t.Errorf("%+v", a)
					}
				}
				if err != nil && !strings.Contains(err.Error(), "the first one fails") {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if effects.Load() != 2 || replays.Load() != 48 {
			t.Fatalf("%d effects, %d replays", effects.Load(), replays.Load())
		}
	})
}

func TestPurge(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			s := idempotency.New(idempotency.Config{DB: d, Clock: c})
			for i := range 1203 {
				if _, _, err := s.Begin(ctx, tx, "acc_a", fmt.Sprint("k", i), "h"); err != nil {
					return err
				}
				if err := s.Finish(ctx, tx, "acc_a", fmt.Sprint("k", i), first); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Minute)
		if _, _, err := run(t.Context(), d, c, "acc_a", "young", "h", nothing); err != nil {
			t.Fatal(err)
		}
		c.Advance(idempotency.Window - time.Minute)
		again, err := idempotency.New(idempotency.Config{DB: d, Clock: c}).Purge(t.Context(), idempotency.Fleet)
		if err != nil || again != job.At(c.Now().Add(time.Hour)) {
			t.Fatal(again, err)
		}
		var n int
		if err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM idempotency`).Scan(&n); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	})
}

func TestClaimWithoutAnswerIsDetected(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := idempotency.New(idempotency.Config{DB: d, Clock: c})
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return s.Finish(ctx, tx, "acc_a", "never begun", first)
		})
		if err == nil {
			t.Fatal("an answer was stored for a key that was not claimed")
		}
	})
}

func TestValidKey(t *testing.T) {
	for key, want := range map[string]bool{
		"a": true, "!~": true, strings.Repeat("k", 255): true,
		"": false, strings.Repeat("k", 256): false, "a b": false, "a\x00": false, "ä": false, "a\n": false,
		"\x7f": false,
	} {
		if idempotency.ValidKey(key) != want {
			t.Errorf("%q valid: %t", key, !want)
		}
	}
}

func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	request := func() error { _, _, err := run(t.Context(), d, c, "acc_a", "k", "h", nothing); return err }
	faults.FailEach(t, "a request", request)
	faults.FailEach(t, "a repetition", request)
	faults.FailEach(t, "Purge", func() error {
		_, err := idempotency.New(idempotency.Config{DB: d, Clock: c}).Purge(t.Context(), idempotency.Fleet)
		return err
	})
}
