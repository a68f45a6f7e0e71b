package voltagepark

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// access selects which of the organization's keys are authorized beside the machine's own: none.
type access struct {
	Mode string `json:"mode"`
}

// rentalRequest is the request for a bare-metal rental.
type rentalRequest struct {
	Location  string       `json:"location_id"`
	GPUs      int          `json:"gpu_count"`
	Name      string       `json:"name"`
	Network   string       `json:"network_type"`
	Access    access       `json:"organization_ssh_keys"`
	Keys      []string     `json:"ssh_keys"`
	Tags      []string     `json:"tags"`
	CloudInit *cloudConfig `json:"cloudinit_script,omitempty"`
}

// vmRequest is the request for an instant VM.
type vmRequest struct {
	Preset    string       `json:"config_id"`
	Location  string       `json:"location_id"`
	Name      string       `json:"name"`
	Access    access       `json:"organization_ssh_keys"`
	Keys      []string     `json:"ssh_keys"`
	Tags      []string     `json:"tags"`
	CloudInit *cloudConfig `json:"cloud_init,omitempty"`
}

// Launch implements provider.Provider.
func (a *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	find := func(ctx context.Context) (provider.Machine, error) {
		m, err := a.find(ctx, r.Reference, 0)
		return a.translate(m), err
	}
	return upstream.CreateOnce(ctx, &a.locks, r.Reference, find, func(ctx context.Context) (provider.Machine, error) {
		path, body, err := a.order(ctx, r)
		if err != nil {
			return provider.Machine{}, err
		}
		return a.create(ctx, r.Reference, path, body)
	})
}

// order checks the request and translates it.
func (a *Adapter) order(ctx context.Context, r provider.LaunchRequest) (path string, body any, err error) {
	network, gpus, preset, err := product(r.OfferKey)
	if err != nil {
		return "", nil, err
	}
	o, err := upstream.FindOffer(ctx, a.offers, syncEvery, r.Region, r.OfferKey)
	if err != nil {
		return "", nil, err
	}
	if !slices.Contains(o.OperatingSystems, r.OperatingSystem) {
		return "", nil, upstream.Rejected("This offer is available with " + o.OperatingSystems[0] + " only.")
	}
	if len(r.AuthorizedKeys) == 0 { // the cloud would create a machine that no one can log in to
		return "", nil, upstream.Rejected("This provider requires at least one SSH key.")
	}
	config, err := cloudInit(r)
	if err != nil {
		return "", nil, err
	}
	// A Pending machine shows its name and no tags, and a user may change the name.
	mark := upstream.Mark(r.Reference)
	location, noOthers, tags := a.location(r.Region), access{"none"}, []string{mark}
	keys := make([]string, len(r.AuthorizedKeys))
	for i, line := range r.AuthorizedKeys {
		keys[i] = upstream.BareKey(line)
	}
	if preset != "" {
		return vmsPath + "instant", vmRequest{preset, location, mark, noOthers, keys, tags, config}, nil
	}
	return rentalsPath, rentalRequest{location, gpus, mark, network, noOthers, keys, tags, config}, nil
}

// create sends the request, once.
func (a *Adapter) create(ctx context.Context, reference id.ID, path string, body any) (provider.Machine, error) {
	var response struct {
		Rental  string `json:"rental_id"`
		VM      string `json:"vm_id"`
		Warning string `json:"warning"`
	}
	err := a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: path, Body: body, Into: &response})
	a.machines.Forget()
	if err != nil {
		return provider.Machine{}, err
	}
	if response.Warning != "" {
		a.account.Log.WarnContext(ctx, "the cloud created a machine with a warning",
			"provider", a.account.Slug, "deployment", reference, "warning", response.Warning)
	}
	c := creation{id: response.Rental, at: a.account.Now()}
	if path != rentalsPath {
		c.id, c.vm = response.VM, true
	}
	if !uuidForm.MatchString(c.id) {
		return provider.Machine{}, upstream.Malformed("the id of the machine that it created", nil)
	}
	a.mu.Lock()
	a.created[reference] = c
	a.mu.Unlock()
	return a.translate(c.machine(reference)), nil
}

// Terminate implements provider.Provider. It ends every machine of the reference.
func (a *Adapter) Terminate(ctx context.Context, reference id.ID) error {
	return a.locks.Do(ctx, reference, func() error {
		all, err := a.machines.Fresh(ctx)
		if err != nil {
			return err
		}
		found := having(all, reference)
		if len(found) == 0 {
			m, err := a.justCreated(ctx, reference)
			if err != nil {
				return upstream.IgnoreNotFound(err)
			}
			found = []machine{m}
		}
		for _, m := range found {
			if err := a.end(ctx, m); err != nil {
				return err
			}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.created, reference)
		return nil
	})
}

// end deletes the machine, unless that was requested a moment ago.
func (a *Adapter) end(ctx context.Context, m machine) error {
	a.mu.Lock()
	at, requested := a.ending[m.id]
	a.mu.Unlock()
	now := a.account.Now()
	if requested && now.Sub(at) < believed {
		return nil
	}
	err := upstream.IgnoreNotFound(a.change(ctx, http.MethodDelete, m.path(), nil))
	a.machines.Forget()
	if provider.IsKind(err, provider.KindRejected) { // perhaps because it has ended meanwhile
		all, failed := a.machines.Fresh(ctx)
		if failed != nil {
			return failed
		}
		if !slices.ContainsFunc(all, func(o machine) bool { return o.id == m.id }) {
			return nil
		}
		if strings.Contains(err.Error(), "already") { // it is ending, which a restarted server does not know
			err = nil
		}
	}
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ending[m.id] = now
	return nil
}
