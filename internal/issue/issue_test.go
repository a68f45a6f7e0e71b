package issue_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

const slug = "northgrid"

// cloud has machines and volumes by reference, and ends them when it is asked to, unless it refuses.
type cloud struct {
	provider.Provider
	provider.VolumeProvider
	mu       sync.Mutex
	machines map[id.ID]bool
	volumes  map[id.ID]bool
	attached bool
	refusal  error
	asked    int
}

func (c *cloud) Info() provider.Info { return provider.Info{Slug: slug, PollEvery: time.Second} }

func (c *cloud) end(ctx context.Context, of map[id.ID]bool, reference id.ID) error {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.refusal != nil {
		return c.refusal
	}
	delete(of, reference)
	return nil
}

func (c *cloud) there(of map[id.ID]bool, reference id.ID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !of[reference] {
		return &provider.Error{Kind: provider.KindNotFound}
	}
	return nil
}

func (c *cloud) Terminate(ctx context.Context, reference id.ID) error {
	return c.end(ctx, c.machines, reference)
}

func (c *cloud) Machine(_ context.Context, reference id.ID) (provider.Machine, error) {
	return provider.Machine{Reference: reference, State: provider.MachineReady}, c.there(c.machines, reference)
}

func (c *cloud) DeleteVolume(ctx context.Context, reference id.ID) error {
	c.mu.Lock()
	attached := c.attached
	c.mu.Unlock()
	if attached {
		return &provider.Error{Kind: provider.KindRejected}
	}
	return c.end(ctx, c.volumes, reference)
}

func (c *cloud) DetachVolume(context.Context, id.ID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attached = false
	return nil
}

func (c *cloud) Volume(_ context.Context, reference id.ID) (provider.Volume, error) {
	return provider.Volume{Reference: reference}, c.there(c.volumes, reference)
}

type rig struct {
	*issue.Service
	t      *testing.T
	db     *db.DB
	clock  *clock.Simulated
	cloud  *cloud
	runner *job.Runner
	log    *bytes.Buffer
}

var ends = issue.Policy{EndUnowned: true, Grace: time.Hour}

func newRig(t *testing.T, d *db.DB, c *clock.Simulated, policy issue.Policy) *rig {
	r := &rig{t: t, db: d, clock: c, log: &bytes.Buffer{}, cloud: &cloud{machines: map[id.ID]bool{}, volumes: map[id.ID]bool{}}}
	ids, log := id.NewMaker(c, rand.Reader), slog.New(slog.NewTextHandler(r.log, nil))
	jobs := job.NewQueue(ids)
	r.Service = issue.New(issue.Config{IDs: ids, Jobs: jobs, Log: log, Policy: policy})
	r.runner = job.NewRunner(job.Config{DB: d, Queue: jobs, Clock: c, Real: db.Time, Log: slog.New(slog.DiscardHandler), Workers: 2})
	r.runner.Handle(issue.KindEnd, issue.NewRemover(issue.RemoverConfig{DB: d, Clock: c, Issues: r.Service, Providers: provider.NewRegistry(r.cloud)}).End)
	return r
}

func each(t *testing.T, f func(t *testing.T, r *rig)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) { f(t, newRig(t, d, c, ends)) })
}

func (r *rig) tx(f func(ctx context.Context, tx *db.Tx) error) error {
	return r.db.InTx(r.t.Context(), f)
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) report(seen ...issue.Sighting) {
	r.t.Helper()
	r.must(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Report(ctx, tx, slug, issue.Kinds, seen) }))
}

func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	r.must(r.runner.Travel(r.t.Context(), r.clock, r.clock.Now().Add(d)))
}

// all are the issues, oldest first.
func (r *rig) all() []issue.Issue {
	r.t.Helper()
	all, total, err := r.List(r.t.Context(), r.db, issue.Filter{}, db.Page{Number: 1, Limit: 100})
	r.must(err)
	if total.Total != len(all) {
		r.t.Fatalf("%d of %d", len(all), total.Total)
	}
	slices.Reverse(all)
	return all
}

// only is the one issue that there is.
func (r *rig) only() issue.Issue {
	r.t.Helper()
	all := r.all()
	if len(all) != 1 {
		r.t.Fatalf("%d issues: %+v", len(all), all)
	}
	return all[0]
}

func (r *rig) end(f id.ID) (out issue.Issue, err error) {
	err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) { out, err = r.End(ctx, tx, f); return err })
	return out, err
}

func (r *rig) dismiss(f id.ID, note string) (out issue.Issue, err error) {
	err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) { out, err = r.Dismiss(ctx, tx, f, note); return err })
	return out, err
}

func unowned(n int) issue.Sighting {
	return issue.Sighting{Kind: issue.OrphanedMachine, UpstreamID: fmt.Sprintf("no-%d", n), Reference: id.ID(fmt.Sprintf("dep_%d", n)), Detail: "nobody's", Endable: true}
}

func foreign(upstream string) issue.Sighting {
	return issue.Sighting{Kind: issue.UnmanagedMachine, UpstreamID: upstream, Detail: "somebody's"}
}

func TestAnIssueIsMadeOnceAndSettlesByItself(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		first := r.clock.Now()
		r.report(foreign("a"), foreign("a"), foreign("b"), unowned(1)) // a list that names one twice
		for range 3 {
			r.clock.Advance(time.Minute)
			r.report(foreign("a"), foreign("b"), unowned(1))
		}
		all := r.all()
		if len(all) != 3 || strings.Count(r.log.String(), "nobody owns") != 3 {
			t.Fatalf("%+v\n%s", all, r.log)
		}
		for _, f := range all {
			if f.State != issue.StateOpen || !f.FirstSeenAt.Equal(first) || !f.LastSeenAt.Equal(first.Add(3*time.Minute)) || f.Provider != slug {
				t.Errorf("%+v", f)
			}
		}
		r.clock.Advance(time.Minute)
		r.report(foreign("a")) // one list that leaves the others out
		r.clock.Advance(time.Minute)
		r.report(foreign("a"), foreign("b"))
		r.clock.Advance(5 * time.Minute)
		r.report(foreign("a"))
		got := map[string]issue.State{}
		for _, f := range r.all() {
			got[*f.UpstreamID] = f.State
			if (f.State == issue.StateOpen) == (f.ClosedAt != nil) {
				t.Errorf("%+v", f)
			}
		}
		if len(got) != 3 || got["a"] != issue.StateOpen || got["b"] != issue.StateSettled || got["no-1"] != issue.StateSettled {
			t.Fatalf("%v", got)
		}
		r.report(foreign("a"), foreign("b"))
		if n := len(r.all()); n != 4 {
			t.Fatalf("what comes back is another issue, and there are %d", n)
		}
	})
}

func TestAWatchWritesOnceHoweverMuchItSees(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		var seen []issue.Sighting
		for i := range 95 {
			seen = append(seen, foreign(fmt.Sprintf("m-%d", i)))
		}
		seen = append(seen, foreign("hostile\x00\x1b[2J\xff"+strings.Repeat("é", 5000)))
		r.report(seen...)
		r.report(seen...)
		if n := len(r.all()); n != 96 {
			t.Fatalf("%d issues", n)
		}
		// Another provider's, and another kind of watch, are left alone.
		r.clock.Advance(time.Hour)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			return r.Report(ctx, tx, "basalt", issue.Kinds, []issue.Sighting{foreign("m-1")})
		}))
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			return r.Report(ctx, tx, slug, []issue.Kind{issue.OrphanedVolume}, nil)
		}))
		counts, err := r.Counts(t.Context(), r.db)
		r.must(err)
		got := map[string]int64{}
		for _, c := range counts {
			got[c.Provider+"/"+string(c.State)] += c.Issues
		}
		if got["northgrid/open"] != 96 || got["basalt/open"] != 1 || len(got) != 2 {
			t.Fatalf("%v", got)
		}
	})
}

func TestUnownedMachinesAreEndedAfterTheGrace(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.cloud.machines["dep_1"] = true
		r.report(unowned(1))
		if f := r.only(); f.EndAfter == nil || !f.EndAfter.Equal(f.FirstSeenAt.Add(time.Hour)) || f.Held {
			t.Fatalf("%+v", f)
		}
		r.pass(59 * time.Minute)
		if r.cloud.asked != 0 {
			t.Fatal("it was ended before its time")
		}
		r.report(unowned(1))
		r.cloud.refusal = &provider.Error{Kind: provider.KindRejected, Message: "Not\x00 yet."}
		r.pass(time.Hour)
		if f := r.only(); f.State != issue.StateOpen || f.EndingSince == nil || f.Problem == nil || *f.Problem != "Not yet." || r.cloud.asked < 3 {
			t.Fatalf("asked %d times: %+v", r.cloud.asked, f)
		}
		r.cloud.refusal = nil
		r.report(unowned(1))
		r.pass(10 * time.Minute)
		if len(r.cloud.machines) != 0 {
			t.Fatal("it was not ended")
		}
		asked := r.cloud.asked
		r.cloud.machines["dep_1"] = true // it said that it is gone, and lists it all the same
		r.report(unowned(1))
		r.pass(time.Minute)
		if f := r.only(); f.State != issue.StateOpen || r.cloud.asked == asked || len(r.cloud.machines) != 0 {
			t.Fatalf("asked %d times, then %d: %+v", asked, r.cloud.asked, f)
		}
		r.pass(10 * time.Minute)
		r.report()
		if f := r.only(); f.State != issue.StateEnded || f.ClosedAt == nil {
			t.Fatalf("%+v", f)
		}
	})
}

func TestTooManyAtOnceAreEndedByNoPolicy(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		var seen []issue.Sighting
		for i := range issue.BreakerLimit {
			seen = append(seen, unowned(i))
			r.cloud.machines[id.ID(fmt.Sprintf("dep_%d", i))] = true
		}
		r.report(seen...)
		for _, f := range r.all() {
			if f.EndAfter == nil || f.Held {
				t.Fatalf("%d are not too many: %+v", issue.BreakerLimit, f)
			}
		}
		r.pass(30 * time.Minute)
		seen = append(seen, unowned(99))
		r.cloud.machines["dep_99"] = true
		r.report(seen...)
		r.pass(3 * time.Hour)
		r.report(seen...)
		for _, f := range r.all() {
			if f.EndAfter != nil || !f.Held || f.EndingSince != nil {
				t.Fatalf("%+v", f)
			}
		}
		// An operator who has decided about some has not decided about the others, nor about what comes meanwhile.
		_, err := r.dismiss(r.all()[0].ID, "ours, elsewhere")
		r.must(err)
		_, err = r.end(r.all()[1].ID)
		r.must(err)
		r.pass(time.Minute)
		seen = append(seen, unowned(100))
		r.report(seen...)
		r.pass(3 * time.Hour)
		r.report(seen...)
		if len(r.cloud.machines) != issue.BreakerLimit || r.cloud.asked != 1 || r.cloud.machines["dep_1"] {
			t.Fatalf("asked %d times; left: %v", r.cloud.asked, r.cloud.machines)
		}
		if !strings.Contains(r.log.String(), "restored backup") {
			t.Error("the log does not say so")
		}
	})
}

func TestThePolicyOfTheDayCounts(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c, ends)
		r.cloud.machines["dep_1"] = true
		r.report(unowned(1))
		r = newRig(t, d, c, issue.Policy{})
		r.cloud.machines["dep_1"] = true
		r.pass(2 * time.Hour)
		r.report(unowned(1))
		if f := r.only(); f.EndAfter != nil || f.EndingSince != nil || r.cloud.asked != 0 {
			t.Fatalf("%+v", f)
		}
		r = newRig(t, d, c, ends)
		r.cloud.machines["dep_1"] = true
		r.report(unowned(1))
		r.pass(59 * time.Minute)
		if r.cloud.asked != 0 {
			t.Fatal("the grace was not given anew")
		}
		r.pass(2 * time.Minute)
		if len(r.cloud.machines) != 0 {
			t.Fatal("it was not ended")
		}
	})
}

func TestOnlyWhatNobodyElseCanOwnIsEnded(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.cloud.machines["dep_7"] = true
		seen := []issue.Sighting{
			foreign("f"),
			{Kind: issue.DuplicateMachine, UpstreamID: "d", Reference: "dep_7", Deployment: "dep_7"},
			{Kind: issue.UndeadMachine, UpstreamID: "o", Reference: "dep_8", Deployment: "dep_8"},
			{Kind: issue.StuckTermination, UpstreamID: "s", Reference: "dep_9", Deployment: "dep_9"},
			{Kind: issue.LostMachine, UpstreamID: "l", Reference: "dep_10", Deployment: "dep_10"},
			{Kind: issue.OrphanedMachine, UpstreamID: "elsewhere", Reference: "dep_7", Deployment: "dep_7"},
			{Kind: issue.OrphanedVolume, UpstreamID: "v"},
			{Kind: issue.OrphanedVolume, UpstreamID: "w", Reference: "vol_1", Volume: "vol_1"},
		}
		r.report(seen...)
		all := r.all()
		if len(all) != len(seen) {
			t.Fatalf("%d issues", len(all))
		}
		for _, f := range all {
			if _, err := r.end(f.ID); err == nil || apierr.CodeOf(err) != apierr.Conflict || len(err.Error()) < 40 {
				t.Errorf("%s: %v", f.Kind, err)
			}
		}
		r.pass(3 * time.Hour)
		if r.cloud.asked != 0 {
			t.Fatal("something was ended")
		}
		if _, err := r.end("iss_nothing"); apierr.CodeOf(err) != apierr.NotFound {
			t.Error(err)
		}
	})
}

func TestAnOperatorEndsAndDismisses(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.cloud.volumes["vol_1"], r.cloud.attached = true, true
		volume := issue.Sighting{Kind: issue.OrphanedVolume, UpstreamID: "v", Reference: "vol_1", Endable: true}
		r.report(foreign("f"), volume)
		r.pass(48 * time.Hour)
		r.report(foreign("f"), volume)
		if len(r.cloud.volumes) != 1 {
			t.Fatal("policy ended a volume")
		}
		all := r.all()
		if _, err := r.dismiss(all[0].ID, "the old\u200b cluster"); apierr.CodeOf(err) != apierr.InvalidRequest {
			t.Error(err)
		}
		dismissed, err := r.dismiss(all[0].ID, "the old cluster")
		r.must(err)
		if dismissed.State != issue.StateDismissed || *dismissed.Note != "the old cluster" {
			t.Errorf("%+v", dismissed)
		}
		if _, err := r.dismiss(all[0].ID, strings.Repeat("x", 501)); apierr.CodeOf(err) != apierr.InvalidRequest {
			t.Error(err)
		}
		for range 2 { // twice is as once
			f, err := r.end(all[1].ID)
			r.must(err)
			if f.EndingSince == nil {
				t.Fatalf("%+v", f)
			}
		}
		if _, err := r.dismiss(all[1].ID, ""); apierr.CodeOf(err) != apierr.Conflict {
			t.Error(err)
		}
		r.pass(5 * time.Minute)
		if len(r.cloud.volumes) != 0 {
			t.Fatal("the volume was not deleted")
		}
		r.report(foreign("f"))
		r.pass(5 * time.Minute)
		r.report(foreign("f"))
		all = r.all()
		if len(all) != 2 || all[0].State != issue.StateDismissed || all[0].ClosedAt != nil || all[1].State != issue.StateEnded {
			t.Fatalf("%+v", all)
		}
		if _, err := r.end(all[1].ID); apierr.CodeOf(err) != apierr.Conflict {
			t.Error(err)
		}
		r.pass(10 * time.Minute)
		r.report()
		if all = r.all(); all[0].State != issue.StateDismissed || all[0].ClosedAt == nil {
			t.Fatalf("%+v", all[0])
		}
		r.report(foreign("f"))
		if n := len(r.all()); n != 3 {
			t.Errorf("%d issues: what came back after it was gone is news", n)
		}
	})
}

func TestKnownSightingsKeepAFindingAndMakeNone(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		o := issue.Sighting{Kind: issue.UndeadMachine, UpstreamID: "o", Reference: "dep_8", Deployment: "dep_8"}
		known := o
		known.Known = true
		r.report(known)
		if n := len(r.all()); n != 0 {
			t.Fatalf("%d issues", n)
		}
		r.report(o)
		for range 4 {
			r.clock.Advance(4 * time.Minute)
			r.report(known)
		}
		if f := r.only(); f.ClosedAt != nil {
			t.Fatalf("%+v", f)
		}
		r.clock.Advance(5 * time.Minute)
		r.report()
		if f := r.only(); f.State != issue.StateEnded {
			t.Fatalf("%+v", f)
		}
	})
}
