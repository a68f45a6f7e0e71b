package dbtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/db"
)

// errInjected is the error of a statement that FailEach has fail.
var errInjected = errors.New("dbtest: the statement fails")

// fault returns the error with which the statement fails, or nil.
func (r *Recorder) fault(text string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	spared := func(part string) bool { return strings.Contains(text, part) }
	if r.left < 0 || slices.ContainsFunc(r.spared, spared) {
		return nil
	}
	if r.left--; r.left >= 0 {
		return nil
	}
	r.failed = text
	return errInjected
}

// failNext has the n-th statement from now fail, counted from zero, without those that are spared.
func (r *Recorder) failNext(n int, spared []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left, r.failed, r.spared = n, "", spared
}

// lastFailed returns the statement that failed; "" if none did. No statement fails after it.
func (r *Recorder) lastFailed() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = -1
	return r.failed
}

// FailEach calls f again and again. In the n-th call, the n-th statement fails, and f must return
// that error. FailEach returns when no statement is left that could fail, after a call that
// succeeded. Statements that contain one of the spared texts do not fail.
func (r *Recorder) FailEach(t testing.TB, name string, f func() error, spared ...string) {
	t.Helper()
	for n := range 500 {
		r.failNext(n, spared)
		err := f()
		failed := r.lastFailed()
		if failed == "" {
			if err != nil {
				t.Errorf("%s = %v, although no statement failed", name, err)
			}
			return
		}
		if !errors.Is(err, errInjected) {
			t.Errorf("%s = %v, although this statement failed:\n%s", name, err, failed)
		}
	}
	t.Fatalf("%s has more than 500 statements", name)
}

// FailEachTx is FailEach for a function that runs in a transaction.
func (r *Recorder) FailEachTx(
	t testing.TB, name string, d *db.DB, f func(ctx context.Context, tx *db.Tx) error,
) {
	t.Helper()
	r.FailEach(t, name, func() error { return d.InTx(t.Context(), f) })
}
