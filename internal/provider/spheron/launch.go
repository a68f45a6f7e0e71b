package spheron

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// deploy is what the cloud is told; all but the last four come from one row of its offers.
type deploy struct {
	Provider        string     `json:"provider"`
	OfferID         string     `json:"offerId"`
	GPUType         string     `json:"gpuType"`
	GPUCount        int        `json:"gpuCount"`
	Region          string     `json:"region"`
	OperatingSystem string     `json:"operatingSystem"`
	InstanceType    string     `json:"instanceType"`
	PublicKey       string     `json:"ssh_public_key"`
	TeamID          string     `json:"teamId"`
	Name            string     `json:"name"`
	CloudInit       *cloudInit `json:"cloudInit,omitempty"`
}

// Launch looks among all machines that there ever were, and deploys where none has the reference.
func (a *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	done, err := a.turns.Take(ctx, r.Reference)
	if err != nil {
		return provider.Machine{}, err
	}
	defer done()
	all, err := a.history.Fresh(ctx)
	if err != nil {
		return provider.Machine{}, err
	}
	d, found, err := a.pick(ctx, r.Reference, all)
	if s, known := a.recall(r.Reference); err == nil && !found && known { // we were told of it, and the list is late
		d, err = a.byID(ctx, s)
		found = err == nil
	}
	if err != nil {
		return provider.Machine{}, err
	}
	if found && !(r.Anew && d.ended()) {
		return a.machine(ctx, r.Reference, d), nil
	}
	body, remembered, err := a.order(ctx, r)
	if err != nil {
		return provider.Machine{}, err
	}
	if err := a.mayCreate(); err != nil {
		return provider.Machine{}, err
	}
	err = a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: "/api/deployments", Body: body, Into: &d, Alone: true})
	if err == nil && d.ID == "" {
		err = garbled("a deployment was asked for, and the answer is empty")
	}
	if err == nil {
		a.mu.Lock()
		a.known[r.Reference] = &sight{id: d.ID, made: a.now()}
		a.mu.Unlock()
	}
	a.forget(ctx)
	if err != nil {
		if e := (*provider.Error)(nil); errors.As(err, &e) && e.Kind == provider.KindThrottled {
			a.mu.Lock()
			a.noCreates = a.now().Add(e.RetryAfter)
			a.mu.Unlock()
		}
		return provider.Machine{}, a.refused(err, remembered)
	}
	return a.machine(ctx, r.Reference, d), nil
}

// order checks what is asked for against what is sold now, and words it as the cloud wants it. Whether any is left, the cloud knows better than our list.
func (a *Adapter) order(ctx context.Context, r provider.LaunchRequest) (body deploy, remembered bool, err error) {
	if len(r.AuthorizedKeys) != 1 {
		return deploy{}, false, rejected("The provider takes exactly one SSH key at the deploy. Add others to the machine once it runs.")
	}
	o, err := a.offer(ctx, r.OfferKey, r.Region)
	if err != nil {
		return deploy{}, false, err
	}
	if !slices.Contains(o.OperatingSystems, r.OperatingSystem) {
		return deploy{}, false, rejected("The provider does not have this operating system for the offer any more.")
	}
	if r.CloudInit != "" && !o.Capabilities.CloudInit {
		return deploy{}, false, rejected("This offer cannot run cloud-init.")
	}
	ci, err := readCloudInit(r)
	if err != nil {
		return deploy{}, false, err
	}
	team, remembered, err := a.payer(ctx)
	if err != nil {
		return deploy{}, false, err
	}
	return deploy{
		Provider: o.at.provider, OfferID: o.offerID, GPUType: o.gpuType, GPUCount: o.GPUCount, Region: o.at.cluster, OperatingSystem: r.OperatingSystem,
		InstanceType: o.instanceType, PublicKey: upstream.BareKey(r.AuthorizedKeys[0]), TeamID: team, Name: upstream.Mark(r.Reference), CloudInit: ci,
	}, remembered, nil
}

// mayCreate counts one more create, or says when the next may come: the cloud counts them apart from other requests.
func (a *Adapter) mayCreate() error {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.creates = slices.DeleteFunc(a.creates, func(at time.Time) bool { return now.Sub(at) >= window })
	wait := a.noCreates.Sub(now)
	if len(a.creates) >= a.most {
		wait = max(wait, a.creates[0].Add(window).Sub(now))
	}
	if wait > 0 {
		return &provider.Error{Kind: provider.KindThrottled, RetryAfter: wait, Cause: errors.New("as many deployments were made as the cloud allows for now")}
	}
	a.creates = append(a.creates, now)
	return nil
}

// referenceOf returns whose machine the cloud's id is; "" for one that is no more, or not ours.
func (a *Adapter) referenceOf(machine string, active []deployment) (reference id.ID, there bool) {
	for _, d := range active {
		if d.ID == machine {
			return upstream.Marked(d.Name, id.Deployment), !d.ended()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for reference, s := range a.known {
		if s.id == machine && s.endedAt.IsZero() && a.now().Sub(s.made) < settleTime {
			return reference, true // so new that the list does not have it
		}
	}
	return "", false
}
