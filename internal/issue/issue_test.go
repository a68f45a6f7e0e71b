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

// cloud is a provider that has machines and volumes by reference, and ends them unless it refuses.
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

func (c *cloud) exists(of map[id.ID]bool, reference id.ID) error {
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
	return provider.Machine{Reference: reference, State: provider.MachineReady}, c.exists(c.machines, reference)
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
	return provider.Volume{Reference: reference}, c.exists(c.volumes, reference)
}

type testKit struct {
	*issue.Service
	t      *testing.T
	db     *db.DB
	clock  *clock.Simulated
	cloud  *cloud
	runner *job.Runner
	log    *bytes.Buffer
}

var endOrphans = issue.Policy{EndOrphans: true, Grace: time.Hour}

func newKit(t *testing.T, d *db.DB, c *clock.Simulated, policy issue.Policy) *testKit {
	r := &testKit{
		t:     t,
		db:    d,
		clock: c,
		log:   &bytes.Buffer{},
		cloud: &cloud{machines: map[id.ID]bool{}, volumes: map[id.ID]bool{}},
	}
	ids, log := id.NewMaker(c, rand.Reader), slog.New(slog.NewTextHandler(r.log, nil))
	jobs := job.NewQueue(ids)
	r.Service = issue.New(issue.Config{IDs: ids, Jobs: jobs, Log: log, Policy: policy})
	r.runner = job.NewRunner(
		job.Config{DB: d, Queue: jobs, Clock: c, Real: db.Time, Log: slog.New(slog.DiscardHandler), Workers: 2},
	)
	r.runner.Handle(
		issue.KindEnd,
		issue.NewRemover(
			issue.RemoverConfig{DB: d, Clock: c, Issues: r.Service, Providers: provider.NewRegistry(r.cloud)},
		).End,
	)
	return r
}

func each(t *testing.T, f func(t *testing.T, r *testKit)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) { f(t, newKit(t, d, c, endOrphans)) })
}

func (r *testKit) tx(f func(ctx context.Context, tx *db.Tx) error) error {
	return r.db.InTx(r.t.Context(), f)
}

func (r *testKit) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *testKit) report(seen ...issue.Sighting) {
	r.t.Helper()
	r.must(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Report(ctx, tx, slug, issue.Kinds, seen) }))
}

func (r *testKit) pass(d time.Duration) {
	r.t.Helper()
	r.must(r.runner.Travel(r.t.Context(), r.clock, r.clock.Now().Add(d)))
}

// all returns the issues, oldest first.
func (r *testKit) all() []issue.Issue {
	r.t.Helper()
	all, total, err := r.List(r.t.Context(), r.db, issue.Filter{}, db.Page{Number: 1, Limit: 100})
	r.must(err)
	if total.Total != len(all) {
		r.t.Fatalf("List returned %d issues and a total of %d", len(all), total.Total)
	}
	slices.Reverse(all)
	return all
}

// only returns the one issue.
func (r *testKit) only() issue.Issue {
	r.t.Helper()
	all := r.all()
	if len(all) != 1 {
		r.t.Fatalf("%d issues, want 1: %+v", len(all), all)
	}
	return all[0]
}

func (r *testKit) end(f id.ID) (out issue.Issue, err error) {
	err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) { out, err = r.End(ctx, tx, f); return err })
	return out, err
}

func (r *testKit) dismiss(f id.ID, note string) (out issue.Issue, err error) {
	err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) { out, err = r.Dismiss(ctx, tx, f, note); return err })
	return out, err
}

func orphan(n int) issue.Sighting {
	return issue.Sighting{
		Kind:       issue.OrphanedMachine,
		UpstreamID: fmt.Sprintf("no-%d", n),
		Reference:  id.ID(fmt.Sprintf("dep_%d", n)),
		Detail:     "no such deployment",
		Endable:    true,
	}
}

func foreign(upstream string) issue.Sighting {
	return issue.Sighting{Kind: issue.UnmanagedMachine, UpstreamID: upstream, Detail: "no reference"}
}

func TestReport_RaisesOnceAndSettles(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		first := r.clock.Now()
		r.report(foreign("a"), foreign("a"), foreign("b"), orphan(1)) // a list that names one twice
		for range 3 {
			r.clock.Advance(time.Minute)
			r.report(foreign("a"), foreign("b"), orphan(1))
		}
		all := r.all()
		if len(all) != 3 || strings.Count(r.log.String(), "a new issue") != 3 {
			t.Fatalf("got %d issues, want 3, each logged once: %+v\nlog: %s", len(all), all, r.log)
		}
		for _, f := range all {
			if f.State != issue.StateOpen || !f.FirstSeenAt.Equal(first) ||
				!f.LastSeenAt.Equal(first.Add(3*time.Minute)) ||
				f.Provider != slug {
				t.Errorf("got %+v, want it open, first seen at %s and last seen three minutes later", f, first)
			}
		}
		r.clock.Advance(time.Minute)
		r.report(foreign("a")) // one list that is incomplete
		r.clock.Advance(time.Minute)
		r.report(foreign("a"), foreign("b"))
		r.clock.Advance(5 * time.Minute)
		r.report(foreign("a"))
		got := map[string]issue.State{}
		for _, f := range r.all() {
			got[*f.UpstreamID] = f.State
			if (f.State == issue.StateOpen) == (f.ClosedAt != nil) {
				t.Errorf("closedAt of a %s issue is %v", f.State, f.ClosedAt)
			}
		}
		if len(got) != 3 || got["a"] != issue.StateOpen || got["b"] != issue.StateSettled ||
			got["no-1"] != issue.StateSettled {
			t.Fatalf("states are %v, want a open, b and no-1 settled", got)
		}
		r.report(foreign("a"), foreign("b"))
		if n := len(r.all()); n != 4 {
			t.Fatalf("%d issues after a settled one reappeared, want 4", n)
		}
	})
}

func TestReport_ManySightings(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		var seen []issue.Sighting
		for i := range 95 {
			seen = append(seen, foreign(fmt.Sprintf("m-%d", i)))
		}
		seen = append(seen, foreign("hostile\x00\x1b[2J\xff"+strings.Repeat("é", 5000)))
		r.report(seen...)
		r.report(seen...)
		if n := len(r.all()); n != 96 {
			t.Fatalf("%d issues, want 96", n)
		}
		// The issues of another provider and of another kind of watch stay as they are.
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
			t.Fatalf("open issues are %v, want 96 of northgrid and 1 of basalt", got)
		}
	})
}

func TestPolicy_EndsOrphansAfterTheGracePeriod(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.cloud.machines["dep_1"] = true
		r.report(orphan(1))
		if f := r.only(); f.EndAfter == nil || !f.EndAfter.Equal(f.FirstSeenAt.Add(time.Hour)) || f.Held {
			t.Fatalf("got %+v, want its end scheduled after the grace period", f)
		}
		r.pass(59 * time.Minute)
		if r.cloud.asked != 0 {
			t.Fatal("the machine was ended within the grace period")
		}
		r.report(orphan(1))
		r.cloud.refusal = &provider.Error{Kind: provider.KindRejected, Message: "Not\x00 yet."}
		r.pass(time.Hour)
		if f := r.only(); f.State != issue.StateOpen || f.EndingSince == nil || f.Problem == nil ||
			*f.Problem != "Not yet." ||
			r.cloud.asked < 3 {
			t.Fatalf("asked %d times, want 3 or more, and the problem \"Not yet.\": %+v", r.cloud.asked, f)
		}
		r.cloud.refusal = nil
		r.report(orphan(1))
		r.pass(10 * time.Minute)
		if len(r.cloud.machines) != 0 {
			t.Fatal("the machine was not ended")
		}
		asked := r.cloud.asked
		r.cloud.machines["dep_1"] = true // confirmed as gone, and still listed
		r.report(orphan(1))
		r.pass(time.Minute)
		if f := r.only(); f.State != issue.StateOpen || r.cloud.asked == asked || len(r.cloud.machines) != 0 {
			t.Fatalf("asked %d times, then %d, want another request: %+v", asked, r.cloud.asked, f)
		}
		r.pass(10 * time.Minute)
		r.report()
		if f := r.only(); f.State != issue.StateEnded || f.ClosedAt == nil {
			t.Fatalf("got %+v, want it ended and closed", f)
		}
	})
}

func TestPolicy_HoldsTooManyOrphans(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		var seen []issue.Sighting
		for i := range issue.BreakerLimit {
			seen = append(seen, orphan(i))
			r.cloud.machines[id.ID(fmt.Sprintf("dep_%d", i))] = true
		}
		r.report(seen...)
		for _, f := range r.all() {
			if f.EndAfter == nil || f.Held {
				t.Fatalf("the end of one of %d orphans is not scheduled: %+v", issue.BreakerLimit, f)
			}
		}
		r.pass(30 * time.Minute)
		seen = append(seen, orphan(99))
		r.cloud.machines["dep_99"] = true
		r.report(seen...)
		r.pass(3 * time.Hour)
		r.report(seen...)
		for _, f := range r.all() {
			if f.EndAfter != nil || !f.Held || f.EndingSince != nil {
				t.Fatalf("got %+v, want it held", f)
			}
		}
		// What an operator decides about some orphans does not decide about the others, nor about
		// new ones.
		_, err := r.dismiss(r.all()[0].ID, "ours, elsewhere")
		r.must(err)
		_, err = r.end(r.all()[1].ID)
		r.must(err)
		r.pass(time.Minute)
		seen = append(seen, orphan(100))
		r.report(seen...)
		r.pass(3 * time.Hour)
		r.report(seen...)
		if len(r.cloud.machines) != issue.BreakerLimit || r.cloud.asked != 1 || r.cloud.machines["dep_1"] {
			t.Fatalf("asked %d times, want 1 for dep_1 only; machines left: %v", r.cloud.asked, r.cloud.machines)
		}
		// One that is still held holds a new one, too.
		r.clock.Advance(10 * time.Minute)
		r.report(seen[2])
		r.clock.Advance(10 * time.Minute)
		r.report(seen[2])
		r.report(seen[2], orphan(101))
		held := 0
		for _, f := range r.all() {
			if f.ClosedAt == nil && f.State == issue.StateOpen && f.EndingSince == nil {
				if held++; !f.Held || f.EndAfter != nil {
					t.Errorf("got %+v, want it held", f)
				}
			}
		}
		if held != 2 {
			t.Errorf("%d orphans are held, want 2", held)
		}
		if !strings.Contains(r.log.String(), "restored backup") {
			t.Errorf("the log does not mention a restored backup: %s", r.log)
		}
	})
}

func TestPolicy_Change(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newKit(t, d, c, endOrphans)
		r.cloud.machines["dep_1"] = true
		r.report(orphan(1))
		r = newKit(t, d, c, issue.Policy{})
		r.cloud.machines["dep_1"] = true
		r.pass(2 * time.Hour)
		r.report(orphan(1))
		if f := r.only(); f.EndAfter != nil || f.EndingSince != nil || r.cloud.asked != 0 {
			t.Fatalf("got %+v, want nothing ended by the present policy", f)
		}
		r = newKit(t, d, c, endOrphans)
		r.cloud.machines["dep_1"] = true
		r.report(orphan(1))
		r.pass(59 * time.Minute)
		if r.cloud.asked != 0 {
			t.Fatal("the grace period did not start again")
		}
		r.pass(2 * time.Minute)
		if len(r.cloud.machines) != 0 {
			t.Fatal("the machine was not ended after the grace period")
		}
	})
}

func TestEnd_Refused(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
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
			t.Fatalf("%d issues, want %d", len(all), len(seen))
		}
		for _, f := range all {
			if _, err := r.end(f.ID); err == nil || apierr.CodeOf(err) != apierr.Conflict || len(err.Error()) < 40 {
				t.Errorf("End of an issue of kind %s = %v, want CONFLICT with advice", f.Kind, err)
			}
		}
		r.pass(3 * time.Hour)
		if r.cloud.asked != 0 {
			t.Fatalf("the provider was asked %d times to end something, want 0", r.cloud.asked)
		}
		if _, err := r.end("iss_nothing"); apierr.CodeOf(err) != apierr.NotFound {
			t.Errorf("End of an unknown issue = %v, want NOT_FOUND", err)
		}
	})
}

func TestEndAndDismiss(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.cloud.volumes["vol_1"], r.cloud.attached = true, true
		volume := issue.Sighting{Kind: issue.OrphanedVolume, UpstreamID: "v", Reference: "vol_1", Endable: true}
		r.report(foreign("f"), volume)
		r.pass(48 * time.Hour)
		r.report(foreign("f"), volume)
		if len(r.cloud.volumes) != 1 {
			t.Fatal("the policy ended a volume")
		}
		all := r.all()
		if _, err := r.dismiss(all[0].ID, "the old\u200b cluster"); apierr.CodeOf(err) != apierr.InvalidRequest {
			t.Errorf("Dismiss with a hidden character = %v, want INVALID_REQUEST", err)
		}
		dismissed, err := r.dismiss(all[0].ID, "the old cluster")
		r.must(err)
		if dismissed.State != issue.StateDismissed || *dismissed.Note != "the old cluster" {
			t.Errorf("Dismiss = %+v, want it dismissed with the note", dismissed)
		}
		if _, err := r.dismiss(all[0].ID, strings.Repeat("x", 501)); apierr.CodeOf(err) != apierr.InvalidRequest {
			t.Errorf("Dismiss with a long note = %v, want INVALID_REQUEST", err)
		}
		for range 2 { // repeating it succeeds
			f, err := r.end(all[1].ID)
			r.must(err)
			if f.EndingSince == nil {
				t.Fatalf("End = %+v, want endingSince set", f)
			}
		}
		if _, err := r.dismiss(all[1].ID, ""); apierr.CodeOf(err) != apierr.Conflict {
			t.Errorf("Dismiss of an issue that is being ended = %v, want CONFLICT", err)
		}
		r.pass(5 * time.Minute)
		if len(r.cloud.volumes) != 0 {
			t.Fatal("the volume was not deleted")
		}
		r.report(foreign("f"))
		r.pass(5 * time.Minute)
		r.report(foreign("f"))
		all = r.all()
		if len(all) != 2 || all[0].State != issue.StateDismissed || all[0].ClosedAt != nil ||
			all[1].State != issue.StateEnded {
			t.Fatalf("got %+v, want the first dismissed and open, the second ended", all)
		}
		if _, err := r.end(all[1].ID); apierr.CodeOf(err) != apierr.Conflict {
			t.Errorf("End of a closed issue = %v, want CONFLICT", err)
		}
		r.pass(10 * time.Minute)
		r.report()
		if all = r.all(); all[0].State != issue.StateDismissed || all[0].ClosedAt == nil {
			t.Fatalf("got %+v, want it dismissed and closed", all[0])
		}
		r.report(foreign("f"))
		if n := len(r.all()); n != 3 {
			t.Errorf("%d issues after a dismissed one reappeared, want 3", n)
		}
	})
}

// Everything that a provider confirmed as gone and still lists is ended again.
func TestReport_EndsAgainWhatIsStillListed(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		seen := []issue.Sighting{orphan(1), orphan(2), orphan(3)}
		machines := func() {
			for _, o := range seen {
				r.cloud.machines[o.Reference] = true
			}
		}
		machines()
		r.report(seen...)
		for _, f := range r.all() {
			_, err := r.end(f.ID)
			r.must(err)
		}
		r.pass(time.Minute)
		if len(r.cloud.machines) != 0 || r.cloud.asked != 3 {
			t.Fatalf("asked %d times, %d machines are left", r.cloud.asked, len(r.cloud.machines))
		}
		machines()
		r.pass(10 * time.Minute)
		r.report(seen...)
		r.pass(time.Minute)
		if len(r.cloud.machines) != 0 || r.cloud.asked != 6 {
			t.Errorf("asked %d times, want 6; %d machines are left", r.cloud.asked, len(r.cloud.machines))
		}
	})
}

func TestReport_KnownSightings(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		o := issue.Sighting{Kind: issue.UndeadMachine, UpstreamID: "o", Reference: "dep_8", Deployment: "dep_8"}
		known := o
		known.Known = true
		r.report(known)
		if n := len(r.all()); n != 0 {
			t.Fatalf("%d issues of a known sighting, want 0", n)
		}
		r.report(o)
		for range 4 {
			r.clock.Advance(4 * time.Minute)
			r.report(known)
		}
		if f := r.only(); f.ClosedAt != nil {
			t.Fatalf("got %+v, want it open while it is sighted", f)
		}
		r.clock.Advance(5 * time.Minute)
		r.report()
		if f := r.only(); f.State != issue.StateEnded {
			t.Fatalf("state is %s, want ended", f.State)
		}
	})
}

// Closed issues are deleted when they are old; open ones and those that Billet ended are not.
func TestService_Purge(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		for i, state := range []string{"open", "settled", "dismissed", "ended", "settled"} {
			closed := any(int64(i))
			if state == "open" {
				closed = nil
			}
			_, err := r.db.Handle().ExecContext(t.Context(), `INSERT INTO issue (id, kind, provider, subject,
				upstream_id, reference, deployment_id, volume_id, detail, endable, state, note, problem,
				first_seen_at, last_seen_at, held, closed_at)
				VALUES ($1, 'lost_machine', 'basalt', $2, '', '', '', '', '', 0, $3, '', '', 0, 0, 0, $4)`,
				fmt.Sprint("iss_", i), fmt.Sprint(i), state, closed)
			r.must(err)
		}
		purge := func(limit int) (n int64) {
			r.must(r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
				n, err = r.Purge(ctx, tx, time.UnixMicro(4), limit)
				return err
			}))
			return n
		}
		if a, b, c := purge(1), purge(10), purge(10); a != 1 || b != 1 || c != 0 {
			t.Errorf("%d, %d and %d issues deleted", a, b, c)
		}
		if left := r.all(); len(left) != 3 {
			t.Errorf("%d issues are left", len(left))
		}
	})
}
