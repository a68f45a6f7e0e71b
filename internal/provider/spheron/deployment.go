package spheron

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// The cloud's statuses of a machine.
const (
	statusRunning    = "running"
	statusStopped    = "stopped"
	statusFailed     = "failed"
	statusTerminated = "terminated"
	statusReclaimed  = "terminated-provider"
)

// forgetAfter is how long a machine that has ended is remembered. Later the list of all has it.
const forgetAfter = time.Hour

// deployment is a machine at the cloud.
type deployment struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Status    string    `json:"status"`
	IPAddress string    `json:"ipAddress"`
	User      string    `json:"user"`
	SSHPort   whole     `json:"sshPort"`
	CreatedAt timestamp `json:"createdAt"`
	// HourlyRate is after discounts.
	HourlyRate upstream.StatedDollars `json:"hourlyRate"`
}

// ended reports whether the machine has ended and costs nothing. An unknown status does not mean
// that.
func (d deployment) ended() bool { return slices.Contains(endedStatuses, d.Status) }

// UnmarshalJSON refuses a deployment without an id or a status.
func (d *deployment) UnmarshalJSON(b []byte) error {
	type plain deployment
	if err := json.Unmarshal(b, (*plain)(d)); err != nil {
		return err
	}
	d.Status = strings.ToLower(strings.TrimSpace(d.Status))
	if d.ID == "" || d.Status == "" {
		return errors.New("a deployment without an id or a status")
	}
	return nil
}

// timestamp is a time; zero where it is malformed.
type timestamp struct{ time.Time }

// UnmarshalJSON parses the time.
func (t *timestamp) UnmarshalJSON(b []byte) error {
	var text string
	_ = json.Unmarshal(b, &text) // anything else is no time
	t.Time = upstream.ParseTime(text)
	return nil
}

// deployments is a list of deployments: an array, or in one of the known envelopes.
type deployments struct {
	all   []deployment
	given bool
}

// UnmarshalJSON parses the list, and refuses a page that is not everything.
func (l *deployments) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		l.given = true
		return json.Unmarshal(b, &l.all)
	}
	var in struct {
		Data        *[]deployment `json:"data"`
		Deployments *[]deployment `json:"deployments"`
		Total       *int          `json:"total"`
		Pages       *int          `json:"totalPages"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	rows := in.Data
	if rows == nil {
		rows = in.Deployments
	}
	if rows == nil {
		return errors.New("a list of deployments without the list")
	}
	if in.Pages != nil && *in.Pages > 1 || in.Total != nil && *in.Total > len(*rows) {
		return errors.New("a list of deployments that is not complete")
	}
	l.all, l.given = *rows, true
	return nil
}

// trace is what is remembered of a machine of ours. The cloud finds none by its name, and its list
// of active ones does not show how the others ended.
type trace struct {
	id        string
	created   time.Time             // when the cloud accepted its creation; zero where a list showed it
	state     provider.MachineState // the last known
	readAt    time.Time             // when it was last read by id
	last      deployment            // the response to that
	ending    time.Time             // when the cloud accepted its end
	dismissed bool                  // Terminate was called after it had failed or been reclaimed
	endedAt   time.Time             // when it was first seen to have ended
}

func (a *Adapter) now() time.Time { return a.account.Now() }

func (a *Adapter) fetchActive(ctx context.Context) ([]deployment, error) {
	return a.fetchDeployments(ctx, url.Values{"status": {"active"}})
}

func (a *Adapter) fetchHistory(ctx context.Context) ([]deployment, error) {
	return a.fetchDeployments(ctx, nil)
}

func (a *Adapter) fetchDeployments(ctx context.Context, query url.Values) ([]deployment, error) {
	var list deployments
	if err := a.client.Get(ctx, "/api/deployments", query, &list); err != nil {
		return nil, err
	}
	if !list.given {
		return nil, upstream.Malformed("the deployments", nil)
	}
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.known, func(_ id.ID, t *trace) bool {
		return !t.endedAt.IsZero() && now.Sub(t.endedAt) > forgetAfter
	})
	for i, d := range list.all {
		// Known by its id, a machine is still ours after it was renamed.
		if upstream.ParseMark(id.Deployment, d.Name) == "" {
			for reference, s := range a.known {
				if s.id == d.ID {
					list.all[i].Name = upstream.Mark(reference)
				}
			}
		}
		reference := upstream.ParseMark(id.Deployment, list.all[i].Name)
		if reference != "" && !d.ended() && a.known[reference] == nil {
			a.known[reference] = &trace{id: d.ID}
		}
	}
	return list.all, nil
}

// forget drops both lists, because something was changed.
func (a *Adapter) forget() {
	a.active.Forget()
	a.history.Forget()
}

// pick returns the deployment in the list that has the reference: one that has not ended, else the
// newest. It fails where two have not ended, and with KindNotFound where there is none.
func (a *Adapter) pick(ctx context.Context, reference id.ID, all []deployment) (d deployment, err error) {
	for _, x := range all {
		if upstream.ParseMark(id.Deployment, x.Name) != reference {
			continue
		}
		switch {
		case d.ID != "" && !d.ended() && !x.ended():
			return deployment{}, a.duplicate(ctx, "machine", reference, d.ID, x.ID)
		case d.ID == "", d.ended() && (!x.ended() || x.CreatedAt.After(d.CreatedAt.Time)):
			d = x
		}
	}
	if d.ID == "" {
		return d, upstream.NotFound("no deployment has the name of %s", reference)
	}
	return d, nil
}

// duplicate logs that two things at the provider have one name, and returns the error.
func (a *Adapter) duplicate(ctx context.Context, kind string, reference id.ID, first, second string) error {
	a.account.Log.ErrorContext(ctx, "two of one name exist at the provider; terminate or rename the one that is not "+
		"the tenant's",
		"provider", a.account.Slug, "kind", kind, "reference", reference, "ids", first+" "+second)
	return upstream.Unavailable("%s and %s have the name of %s", first, second, reference)
}

// find returns the machine of that reference, ended or not. KindNotFound means that there never was
// one, or that the cloud has forgotten it.
func (a *Adapter) find(ctx context.Context, reference id.ID) (deployment, error) {
	all, err := a.active.Recent(ctx, listAge)
	if err != nil {
		return deployment{}, err
	}
	d, err := a.pick(ctx, reference, all)
	if !provider.IsKind(err, provider.KindNotFound) {
		return d, err
	}
	// It has ended, has a status that the cloud does not count as active, or is too new for the
	// list.
	if t, known := a.recall(reference); known {
		return a.byID(ctx, t)
	}
	if all, err = a.history.Recent(ctx, historyAge); err != nil {
		return deployment{}, err
	}
	return a.pick(ctx, reference, all)
}

// recall returns what is remembered of a machine, and whether anything is.
func (a *Adapter) recall(reference id.ID) (trace, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, known := a.known[reference]
	if !known {
		return trace{}, false
	}
	return *s, true
}

// note changes what is remembered of a machine, if anything is.
func (a *Adapter) note(machine string, change func(*trace)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.known {
		if s.id == machine {
			change(s)
		}
	}
}

// byID reads one machine that the list does not show. One that has ended is not read again.
func (a *Adapter) byID(ctx context.Context, t trace) (deployment, error) {
	now := a.now()
	if t.last.ID != "" && (t.last.ended() || now.Sub(t.readAt) < listAge) {
		return t.last, nil
	}
	var d deployment
	err := a.client.Get(ctx, "/api/deployments/"+url.PathEscape(t.id), nil, &d)
	switch {
	case provider.IsKind(err, provider.KindNotFound) && now.Sub(t.created) < settleTime:
		return deployment{}, upstream.Unavailable("the cloud just created %s and does not show it: %w", t.id, err)
	case err != nil:
		return deployment{}, err
	case d.ID != t.id:
		return deployment{}, upstream.Unavailable("the cloud returned deployment %.80q instead of %s", d.ID, t.id)
	}
	a.note(t.id, func(t *trace) { t.readAt, t.last = now, d })
	return d, nil
}
