package volume

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// now is when the runs of these tests decide.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func in(d time.Duration) *time.Time { at := now.Add(d); return &at }

func failed(kind provider.Kind) error { return &provider.Error{Kind: kind} }

// known is a volume that was asked for.
func known(v provider.Volume) observation { return observation{volume: &volumeAnswer{volume: v}} }

// unknown is an error of asking for the volume.
func unknown(kind provider.Kind) observation {
	return observation{volume: &volumeAnswer{err: failed(kind)}}
}

type decideCase struct {
	name string
	row  func(r *record)
	seen observation
	want decision
}

func testDecide(t *testing.T, start record, cases []decideCase) {
	t.Helper()
	start.id, start.provider, start.sizeGB, start.wantedSizeGB = "vol_1", "acme", 100, 100
	start.createdAt, start.statusSince = now.Add(-time.Minute), now.Add(-time.Minute)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, seen := start, c.seen
			if c.row != nil {
				c.row(&r)
			}
			seen.configured = true
			seen.info = provider.Info{
				PollEvery:   5 * time.Second,
				SettleTime:  time.Minute,
				LaunchLimit: 20 * time.Minute,
			}
			got := decide(&r, seen, now)
			if c.want.kind == doRetry && got.err != nil {
				c.want.err = got.err // whose text is for the log
			}
			compare := cmp.Options{cmp.AllowUnexported(decision{}), cmpopts.EquateErrors()}
			if diff := cmp.Diff(c.want, got, compare); diff != "" {
				t.Errorf("decide (-want +got):\n%s", diff)
			}
		})
	}
}

// soon is a minute after the last change: a tenth of that is more than the provider's own pause.
var soon = wait(now.Add(6 * time.Second))

var retried = decision{kind: doRetry}

func TestDecide_creating(t *testing.T) {
	created := func(kind provider.Kind) observation {
		return observation{volume: &volumeAnswer{err: failed(kind), created: true}}
	}
	testDecide(t, record{status: StatusCreating}, []decideCase{
		{"nothing was asked", nil, observation{}, decision{kind: doAskVolume}},
		{"there is none", nil, unknown(provider.KindNotFound), decision{kind: doCreate}},
		{"a create may land", func(r *record) { r.createAskedAt = in(-time.Minute) }, unknown(provider.KindNotFound),
			wait(now.Add(5 * time.Second))},
		{
			"no create can land",
			func(r *record) { r.createAskedAt = in(-2 * time.Minute) },
			unknown(provider.KindNotFound),
			decision{kind: doCreate},
		},
		{"unknown whether there is one", nil, unknown(provider.KindUnavailable), retried},
		{"refused", nil, created(provider.KindRejected),
			decision{kind: doFailCreate, reason: "The provider refused to create the volume."}},
		{"not answered", nil, created(provider.KindUnavailable), retried},
		{"not ready", nil, known(provider.Volume{}), soon},
		{"failed", nil, known(provider.Volume{Failed: true}), decision{kind: doFailCreate, reason: reasonNotCreated}},
		{"ready", nil, known(provider.Volume{Ready: true}), decision{kind: doMakeAvailable}},
		{"not ready in time", func(r *record) { r.createdAt = now.Add(-createLimit) }, known(provider.Volume{}),
			decision{kind: doFailCreate, reason: "The provider didn't create the volume within 15 minutes."}},
	})
}

func TestDecide_attaching(t *testing.T) {
	const here, elsewhere id.ID = "dep_1", "dep_2"
	with := func(v provider.Volume, state provider.MachineState) observation {
		return observation{volume: &volumeAnswer{volume: v}, machine: &machineAnswer{state: state}}
	}
	detached, attached := provider.Volume{}, provider.Volume{AttachedTo: here}
	for1Hour := func(r *record) { r.statusSince = now.Add(-time.Hour) }
	noMachine := observation{volume: &volumeAnswer{}, machine: &machineAnswer{err: failed(provider.KindNotFound)}}
	after := func(seen observation, err error) observation {
		seen.attach = &answer{err}
		return seen
	}
	testDecide(t, record{status: StatusAttaching, deployment: here}, []decideCase{
		{"nothing was asked", nil, observation{}, decision{kind: doAskVolume}},
		{"not attached", nil, known(detached), decision{kind: doAskMachine}},
		{"attached to another machine", nil, known(provider.Volume{AttachedTo: elsewhere}), decision{kind: doDetach}},
		{"no machine yet", nil, noMachine, soon},
		{"never a machine", for1Hour, noMachine, decision{kind: doCancelAttach, reason: reasonNoMachine}},
		{"a machine that provisions", for1Hour, with(detached, provider.MachineProvisioning), wait(now.Add(maxPause))},
		{"a machine that has just ended", nil, with(detached, provider.MachineTerminating), soon},
		{"a machine that has ended", for1Hour, with(detached, provider.MachineTerminating),
			decision{kind: doCancelAttach, reason: reasonMachineEnded}},
		{"growing while the machine is off", func(r *record) { r.wantedSizeGB = 200 },
			with(detached, provider.MachineOff), decision{kind: doGrow}},
		{"a machine that is ready", nil, with(detached, provider.MachineReady), decision{kind: doAttach}},
		{"it seems attached", nil, with(attached, provider.MachineReady), decision{kind: doAttach}},
		{"attached", nil, after(with(attached, provider.MachineReady), nil), decision{kind: doConfirmAttach}},
		{"accepted, not attached yet", nil, after(with(detached, provider.MachineReady), nil), soon},
		{"refused", nil, after(with(detached, provider.MachineReady), failed(provider.KindRejected)),
			decision{kind: doCancelAttach, reason: "The provider refused to attach the volume."}},
		{
			"the machine is gone",
			nil,
			after(with(detached, provider.MachineReady), failed(provider.KindNotFound)),
			retried,
		},
		{"no answer", nil, after(with(detached, provider.MachineReady), failed(provider.KindUnavailable)), retried},
	})
}

func TestDecide_detaching(t *testing.T) {
	asked := func(err error) observation { return observation{detach: &answer{err}} }
	answered := func(a *volumeAnswer) observation { return observation{detach: &answer{}, volume: a} }
	testDecide(t, record{status: StatusDetaching, deployment: "dep_1"}, []decideCase{
		{"nothing was asked", nil, observation{}, decision{kind: doDetach}},
		{"accepted", nil, asked(nil), decision{kind: doAskVolume}},
		{"still attached", nil, answered(&volumeAnswer{volume: provider.Volume{AttachedTo: "dep_1"}}), soon},
		{"detached", nil, answered(&volumeAnswer{}), decision{kind: doConfirmDetach}},
		{"no answer", nil, asked(failed(provider.KindUnavailable)), retried},
		{"not known", nil, asked(failed(provider.KindNotFound)), retried},
		{"not known for long", func(r *record) { r.statusSince = now.Add(-lostLimit) },
			asked(failed(provider.KindNotFound)), decision{kind: doLose, reason: reasonLost}},
	})
}

func TestDecide_ending(t *testing.T) {
	removed := func(err error) observation { return observation{remove: &answer{err}} }
	cleaning := func(d time.Duration) func(r *record) {
		return func(r *record) { r.status, r.cleanUntil = StatusDeleted, in(d) }
	}
	testDecide(t, record{status: StatusDeleting}, []decideCase{
		{"nothing was asked", nil, observation{}, decision{kind: doRemove}},
		{"removed", nil, removed(nil), decision{kind: doConfirmDelete}},
		{"no answer", nil, removed(failed(provider.KindUnavailable)), retried},
		{"a create may land", func(r *record) { r.createAskedAt = in(-time.Minute) }, removed(nil),
			wait(now.Add(5 * time.Second))},
		{"cleaning", cleaning(time.Hour), removed(nil), wait(now.Add(cleanEvery))},
		{"cleaning, nearly done", cleaning(time.Minute), removed(nil), wait(now.Add(time.Minute))},
		{"cleaned", cleaning(0), removed(nil), decision{kind: doConfirmClean}},
		{"deleted", func(r *record) { r.status = StatusDeleted }, observation{}, decision{kind: doNothing}},
	})
}

func TestDecide_growing(t *testing.T) {
	asked := func(err error) observation { return observation{grow: &answer{err}} }
	grow := func(r *record) { r.wantedSizeGB = 200 }
	testDecide(t, record{status: StatusAvailable}, []decideCase{
		{"nothing to do", nil, observation{}, decision{kind: doNothing}},
		{"to grow", grow, observation{}, decision{kind: doGrow}},
		{"grown", grow, asked(nil), decision{kind: doConfirmGrowth}},
		{"refused", grow, asked(failed(provider.KindRejected)),
			decision{kind: doCancelGrowth, reason: "The provider refused to grow the volume."}},
		{"not known for now", grow, asked(failed(provider.KindNotFound)), retried},
	})
}

func TestDecide_notConfigured(t *testing.T) {
	t.Parallel()
	if got := decide(&record{status: StatusDeleting}, observation{}, now).kind; got != doRetry {
		t.Errorf("decide without its provider = %q, want %q", got, doRetry)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	const foreign, missing, elsewhere = "x", "vol_missing", "vol_elsewhere"
	const lost, cleaned, deleted = "vol_lost", "vol_cleaned", "vol_deleted"
	strays := map[id.ID]string{missing: "1", elsewhere: "2", lost: "3", cleaned: "4", deleted: "5"}
	rows := map[id.ID]record{
		elsewhere: {provider: "other", status: StatusAvailable},
		lost:      {provider: "acme", status: StatusFailed, availableAt: in(0)},
		cleaned:   {provider: "acme", status: StatusDeleted, cleanUntil: in(0)},
		deleted:   {provider: "acme", status: StatusDeleted},
	}
	got := compare("acme", []provider.Volume{{ID: foreign, Reference: "theirs"}}, strays, rows)
	want := []issue.Sighting{
		{UpstreamID: foreign, Reference: "theirs"},
		{UpstreamID: "4", Reference: cleaned, Volume: cleaned, Known: true},
		{UpstreamID: "2", Reference: elsewhere, Volume: elsewhere},
		{UpstreamID: "3", Reference: lost, Volume: lost, Endable: true},
		{UpstreamID: "1", Reference: missing, Endable: true},
	}
	if diff := cmp.Diff(want, got.issues, cmpopts.IgnoreFields(issue.Sighting{}, "Kind", "Detail")); diff != "" {
		t.Errorf("issues (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]id.ID{deleted}, got.outlived); diff != "" {
		t.Errorf("outlived (-want +got):\n%s", diff)
	}
}

// The provider account cannot be opened, so that nothing can be asked.
func TestDecide_withoutProvider(t *testing.T) {
	t.Parallel()
	for status, want := range map[Status]decision{
		StatusCreating:  {kind: doFailCreate, reason: reasonUnavailable},
		StatusAvailable: {kind: doNothing},
		StatusAttaching: {kind: doRetry},
		StatusDeleting:  {kind: doRetry},
	} {
		r := record{status: status, createdAt: now.Add(-createLimit), sizeGB: 1, wantedSizeGB: 1}
		got := decide(&r, observation{}, now)
		if got.kind != want.kind || got.reason != want.reason {
			t.Errorf("%s: got %+v, want %+v", status, got, want)
		}
	}
	r := record{status: StatusCreating, createdAt: now.Add(time.Second - createLimit)}
	if got := decide(&r, observation{}, now); got.kind != doWait || !got.at.Equal(now.Add(time.Second)) {
		t.Errorf("before the limit: got %+v, want to wait until then", got)
	}
}
