package spheron

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// The cloud's words for where a machine is.
const (
	statusRunning    = "running"
	statusStopped    = "stopped"
	statusFailed     = "failed"
	statusTerminated = "terminated"
	statusReclaimed  = "terminated-provider"
)

// starting are those of a machine that is on its way.
var starting = []string{"deploying", "pending", "provisioning"}

// forgetAfter is how long a machine that is no more is remembered; later it is looked up in the list of all.
const forgetAfter = time.Hour

// deployment is a machine as the cloud tells it.
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

// ended tells that the machine is no more and costs nothing. An unknown word does not say so.
func (d deployment) ended() bool { return slices.Contains(over, d.Status) }

// UnmarshalJSON refuses one without an id or a status: it would say something about a machine that nobody said.
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

// timestamp is a time, or zero where it is no such text.
type timestamp struct{ time.Time }

// UnmarshalJSON reads it.
func (t *timestamp) UnmarshalJSON(b []byte) error {
	var text string
	_ = json.Unmarshal(b, &text) // anything else is no time
	t.Time, _ = time.Parse(time.RFC3339, text)
	return nil
}

// deployments is a list of them, as the array or in one of the envelopes that were seen.
type deployments struct {
	all   []deployment
	given bool
}

// UnmarshalJSON reads it, and refuses a page that is not all.
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
		return errors.New("a list of deployments that goes on elsewhere")
	}
	l.all, l.given = *rows, true
	return nil
}

// sight is what we remember of a machine of ours. The cloud finds none by its name, and its list of active ones does not say how the others ended.
type sight struct {
	id      string
	made    time.Time             // when the cloud told us of its making; zero where a list showed it
	state   provider.MachineState // the last that a known word told
	asked   time.Time             // when the cloud was asked for it by id
	answer  deployment            // to that
	ending  time.Time             // when the cloud took our request to end it
	settled bool                  // Terminate was asked for after it had failed or been reclaimed
	endedAt time.Time             // when we first saw that it is no more
}

func (a *Adapter) fetchActive(ctx context.Context) ([]deployment, error) {
	return a.fetchDeployments(ctx, url.Values{"status": {"active"}})
}

func (a *Adapter) fetchHistory(ctx context.Context) ([]deployment, error) {
	return a.fetchDeployments(ctx, nil)
}

func (a *Adapter) fetchDeployments(ctx context.Context, query url.Values) ([]deployment, error) {
	var said deployments
	if err := a.client.Get(ctx, "/api/deployments", query, &said); err != nil {
		return nil, err
	}
	if !said.given {
		return nil, garbled("no list of deployments")
	}
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for reference, s := range a.known {
		if !s.endedAt.IsZero() && now.Sub(s.endedAt) > forgetAfter {
			delete(a.known, reference)
		}
	}
	for i, d := range said.all {
		// Known by its id, a machine is still ours when somebody has renamed it.
		if upstream.Marked(d.Name, id.Deployment) == "" {
			for reference, s := range a.known {
				if s.id == d.ID {
					said.all[i].Name = upstream.Mark(reference)
				}
			}
		}
		if reference := upstream.Marked(said.all[i].Name, id.Deployment); reference != "" && !d.ended() && a.known[reference] == nil {
			a.known[reference] = &sight{id: d.ID}
		}
	}
	return said.all, nil
}

// forget has the lists asked for again: what was asked for changes them, whether it was answered or not.
func (a *Adapter) forget(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	a.active.Forget(ctx)
	a.history.Forget(ctx)
}

// pick returns the one of the list that has the reference: one that is not over, else the last that was. Two that are not over are nobody's choice.
func (a *Adapter) pick(ctx context.Context, reference id.ID, all []deployment) (d deployment, found bool, err error) {
	for _, x := range all {
		if upstream.Marked(x.Name, id.Deployment) != reference {
			continue
		}
		switch {
		case found && !d.ended() && !x.ended():
			a.log.ErrorContext(ctx, "two machines have one name; end the one that is not the deployment's at the provider",
				"provider", a.account.Slug, "deployment", reference, "machines", d.ID+" "+x.ID)
			return deployment{}, false, &provider.Error{Kind: provider.KindUnavailable, Cause: fmt.Errorf("%s and %s have the name of %s", d.ID, x.ID, reference)}
		case !found, d.ended() && (!x.ended() || x.CreatedAt.After(d.CreatedAt.Time)):
			d, found = x, true
		}
	}
	return d, found, nil
}

// find returns the machine of that reference as it is, also when it is over. KindNotFound says that there never was one, or that the cloud has
// forgotten it.
func (a *Adapter) find(ctx context.Context, reference id.ID) (deployment, error) {
	all, err := a.active.Recent(ctx, listAge)
	if err != nil {
		return deployment{}, err
	}
	d, found, err := a.pick(ctx, reference, all)
	if err != nil || found {
		return d, err
	}
	// It is over, or in a state that the cloud does not count as active, or so new that the list does not have it.
	if s, known := a.recall(reference); known {
		return a.byID(ctx, s)
	}
	if all, err = a.history.Recent(ctx, historyAge); err != nil {
		return deployment{}, err
	}
	if d, found, err = a.pick(ctx, reference, all); err != nil || found {
		return d, err
	}
	return deployment{}, &provider.Error{Kind: provider.KindNotFound}
}

// recall returns a copy of what is remembered.
func (a *Adapter) recall(reference id.ID) (sight, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, known := a.known[reference]
	if !known {
		return sight{}, false
	}
	return *s, true
}

// note changes what is remembered of a machine, if anything is.
func (a *Adapter) note(machine string, change func(*sight)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.known {
		if s.id == machine {
			change(s)
		}
	}
}

// byID asks for one machine, which the list does not show. What is over stays so and is not asked for again.
func (a *Adapter) byID(ctx context.Context, s sight) (deployment, error) {
	now := a.now()
	if s.answer.ID != "" && (s.answer.ended() || now.Sub(s.asked) < listAge) {
		return s.answer, nil
	}
	var d deployment
	err := a.client.Get(ctx, "/api/deployments/"+url.PathEscape(s.id), nil, &d)
	switch {
	case err != nil && provider.KindOf(err) == provider.KindNotFound && now.Sub(s.made) < settleTime:
		return deployment{}, &provider.Error{Kind: provider.KindUnavailable, Cause: fmt.Errorf("the cloud has just made %s and does not show it: %w", s.id, err)}
	case err != nil:
		return deployment{}, err
	case d.ID != s.id:
		return deployment{}, garbled("another deployment than the one asked for")
	}
	a.note(s.id, func(s *sight) { s.asked, s.answer = now, d })
	return d, nil
}
