package deployment

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestMeasure(t *testing.T) {
	const d id.ID = "dep_1"
	start := time.Date(2028, 2, 1, 10, 0, 0, 0, time.UTC)
	before, asked := start.Add(time.Hour), start.Add(time.Hour+time.Minute)
	ready := provider.Machine{State: provider.MachineReady}
	unhealthy := provider.Machine{State: provider.MachineReady, Unhealthy: true}
	off := provider.Machine{State: provider.MachineOff}
	in := func(s provider.MachineState) *provider.Machine { return &provider.Machine{State: s} }
	begin := func(cause DowntimeCause, from time.Time) measured {
		return measured{begin: []downtime{{
			Downtime: Downtime{Cause: cause, From: from, SeenAt: asked}, deployment: d,
		}}}
	}
	with := func(m measured, f func(*measured)) measured { f(&m); return m }
	ends := func(m *measured) { m.end = []id.ID{d} }
	for name, c := range map[string]struct {
		machine *provider.Machine // nil if it is not on the list
		status  Status
		wantOff bool
		open    DowntimeCause
		first   bool // there was no list before
		young   bool // it was started after the list before
		want    measured
	}{
		"works":                      {machine: &ready},
		"is missing":                 {want: begin(DownLost, before)},
		"is missing from the first":  {first: true},
		"started since the last":     {young: true, want: begin(DownLost, before.Add(30*time.Second))},
		"is lost":                    {machine: in(provider.MachineLost), want: begin(DownLost, before)},
		"is failed":                  {machine: in(provider.MachineFailed), want: begin(DownLost, before)},
		"is still missing":           {open: DownLost},
		"was only missing on a list": {machine: &ready, open: DownLost, want: measured{forget: []id.ID{d}}},
		"is unhealthy":               {machine: &unhealthy, want: begin(DownUnhealthy, before)},
		"is still unhealthy":         {machine: &unhealthy, open: DownUnhealthy},
		"is healthy again":           {machine: &ready, open: DownUnhealthy, want: measured{end: []id.ID{d}}},
		"is off":                     {machine: &off, want: begin(DownOff, before)},
		"is off as wanted":           {machine: &off, wantOff: true},
		"was stopped as wanted":      {machine: &off, status: StatusStopped, wantOff: true},
		"is lost while off": {
			status: StatusStopped, open: DownOff, want: with(begin(DownLost, before), ends),
		},
		"is booting": {machine: in(provider.MachineProvisioning)},
		"is booting after it was off": {
			machine: in(provider.MachineProvisioning), open: DownOff,
		},
		"is being terminated": {status: StatusTerminating},
		"has ended":           {status: StatusInterrupted},
	} {
		w := watched{id: d, status: StatusRunning, startedAt: &start, offRequested: c.wantOff}
		if c.status != "" {
			w.status = c.status
		}
		if c.young {
			late := before.Add(30 * time.Second)
			w.startedAt = &late
		}
		own, open := map[id.ID]provider.Machine{}, map[id.ID]downtime{}
		if c.machine != nil {
			own[d] = *c.machine
		}
		if c.open != "" {
			open[d] = downtime{Downtime: Downtime{Cause: c.open}, deployment: d}
		}
		last := &before
		if c.first {
			last = nil
		}
		got := measure([]watched{w}, own, open, last, asked)
		all := cmp.AllowUnexported(measured{}, downtime{})
		if diff := cmp.Diff(c.want, got, all, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("a machine that %s: %s", name, diff)
		}
	}
}
