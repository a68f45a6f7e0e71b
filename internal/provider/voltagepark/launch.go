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

// access says which of the organization's keys are let in beside the machine's own: none.
type access struct {
	Mode string `json:"mode"`
}

// rentalRequest asks for a bare-metal rental.
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

// vmRequest asks for an instant VM.
type vmRequest struct {
	Preset    string       `json:"config_id"`
	Location  string       `json:"location_id"`
	Name      string       `json:"name"`
	Access    access       `json:"organization_ssh_keys"`
	Keys      []string     `json:"ssh_keys"`
	Tags      []string     `json:"tags"`
	CloudInit *cloudConfig `json:"cloud_init,omitempty"`
}

// Launch asks for a rental or a VM, unless there is one of the reference already.
func (a *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	done, err := a.turns.Take(ctx, r.Reference)
	if err != nil {
		return provider.Machine{}, err
	}
	defer done()
	all, err := a.machines.Fresh(ctx)
	if err != nil {
		return provider.Machine{}, err
	}
	m, err := a.one(ctx, all, r.Reference)
	if err == nil {
		return a.answer(m), nil
	}
	if !is(err, provider.KindNotFound) {
		return provider.Machine{}, err
	}
	path, body, err := a.order(ctx, r)
	if err != nil {
		return provider.Machine{}, err
	}
	return a.create(ctx, r, path, body)
}

// order checks the request and writes it as the cloud reads it.
func (a *Adapter) order(ctx context.Context, r provider.LaunchRequest) (path string, body any, err error) {
	network, gpus, preset, err := product(r.OfferKey)
	if err != nil {
		return "", nil, err
	}
	o, err := a.offer(ctx, r.Region, r.OfferKey)
	if err != nil {
		return "", nil, err
	}
	if !slices.Contains(o.OperatingSystems, r.OperatingSystem) {
		return "", nil, refuse("This offer comes with " + o.OperatingSystems[0] + " only.")
	}
	if len(r.AuthorizedKeys) == 0 { // the cloud would make a machine that nobody can enter
		return "", nil, refuse("A machine of this provider needs at least one SSH key.")
	}
	config, err := cloudInit(r)
	if err != nil {
		return "", nil, err
	}
	// The list of a Pending machine has its name and no tags, and a user may change the name.
	mark := upstream.Mark(r.Reference)
	location, nobody, tags := a.location(r.Region), access{"none"}, []string{mark}
	keys := make([]string, len(r.AuthorizedKeys))
	for i, line := range r.AuthorizedKeys {
		keys[i] = upstream.BareKey(line)
	}
	if preset != "" {
		return vmsPath + "instant", vmRequest{preset, location, mark, nobody, keys, tags, config}, nil
	}
	return rentalsPath, rentalRequest{location, gpus, mark, network, nobody, keys, tags, config}, nil
}

// create sends the request, once.
func (a *Adapter) create(ctx context.Context, r provider.LaunchRequest, path string, body any) (provider.Machine, error) {
	reference := r.Reference
	var answer struct {
		Rental  string `json:"rental_id"`
		VM      string `json:"vm_id"`
		Warning string `json:"warning"`
	}
	err := a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: path, Body: body, Into: &answer})
	a.machines.Forget(ctx)
	if err != nil {
		return provider.Machine{}, err
	}
	if answer.Warning != "" {
		a.account.Log.WarnContext(ctx, "the upstream made a machine with a warning", "provider", a.account.Slug, "deployment", reference, "warning", answer.Warning)
	}
	b := birth{id: answer.Rental, at: a.account.Now()}
	if path != rentalsPath {
		b.id, b.vm = answer.VM, true
	}
	if !uuidForm.MatchString(b.id) {
		return provider.Machine{}, unclear("POST %s: an answer without the id of a machine", path)
	}
	a.mu.Lock()
	a.made[reference] = b
	a.mu.Unlock()
	return a.answer(machine{id: b.id, vm: b.vm, reference: reference, state: provider.MachineProvisioning, created: b.at}), nil
}

// Terminate asks for the end of whatever machine the reference has.
func (a *Adapter) Terminate(ctx context.Context, reference id.ID) error {
	done, err := a.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	all, err := a.machines.Fresh(ctx)
	if err != nil {
		return err
	}
	found := of(all, reference)
	if len(found) == 0 {
		m, err := a.newborn(ctx, reference)
		if is(err, provider.KindNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		found = []machine{m}
	}
	for _, m := range found {
		if err := a.end(ctx, m); err != nil {
			return err
		}
	}
	a.mu.Lock()
	delete(a.made, reference)
	a.mu.Unlock()
	return nil
}

// end deletes the machine, unless that was asked for a moment ago.
func (a *Adapter) end(ctx context.Context, m machine) error {
	a.mu.Lock()
	at, asked := a.ending[m.id]
	a.mu.Unlock()
	now := a.account.Now()
	if asked && now.Sub(at) < believed {
		return nil
	}
	err := a.change(ctx, http.MethodDelete, m.path(), nil)
	a.machines.Forget(ctx)
	if is(err, provider.KindRejected) { // because it has ended meanwhile, perhaps
		all, failed := a.machines.Fresh(ctx)
		if failed != nil {
			return failed
		}
		if !slices.ContainsFunc(all, func(o machine) bool { return o.id == m.id }) {
			return nil
		}
		if !strings.Contains(err.Error(), "already") { // it is in its end, which a server that was restarted does not know
			return err
		}
		err = nil
	}
	if err != nil && !is(err, provider.KindNotFound) {
		return err
	}
	a.mu.Lock()
	a.ending[m.id] = now
	a.mu.Unlock()
	return nil
}
