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

// deploy is the request for a deployment. All but the last four fields come from one row of offers.
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

// Launch implements provider.Provider.
func (a *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	find := func(ctx context.Context) (provider.Machine, error) {
		all, err := a.history.Fresh(ctx)
		if err != nil {
			return provider.Machine{}, err
		}
		d, err := a.pick(ctx, r.Reference, all)
		if provider.IsKind(err, provider.KindNotFound) {
			if t, known := a.recall(r.Reference); known { // the list is late
				// It was created and has vanished.
				if d, err = a.byID(ctx, t); provider.IsKind(err, provider.KindNotFound) {
					err = &provider.Error{Kind: provider.KindRejected, Cause: err}
				}
			}
		}
		if err != nil {
			return provider.Machine{}, err
		}
		if r.IgnoreEnded && d.ended() {
			return provider.Machine{}, upstream.NotFound("%s has ended", d.ID)
		}
		return a.machine(ctx, r.Reference, d), nil
	}
	return upstream.CreateOnce(ctx, &a.locks, r.Reference, find, func(ctx context.Context) (provider.Machine, error) {
		return a.create(ctx, r)
	})
}

// create sends the request, once.
func (a *Adapter) create(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	body, remembered, err := a.order(ctx, r)
	if err != nil {
		return provider.Machine{}, err
	}
	if err := a.mayCreate(); err != nil {
		return provider.Machine{}, err
	}
	var d deployment
	err = a.client.Do(ctx, upstream.Request{
		Method: http.MethodPost, Path: "/api/deployments", Body: body, Into: &d, OwnLimit: true,
	})
	if err == nil && d.ID == "" {
		err = upstream.Malformed("the deployment that it created", nil)
	}
	a.forget()
	if err != nil {
		if e, is := errors.AsType[*provider.Error](err); is && e.Kind == provider.KindThrottled {
			a.mu.Lock()
			a.noCreates = a.now().Add(e.RetryAfter)
			a.mu.Unlock()
		}
		return provider.Machine{}, a.refused(err, remembered)
	}
	a.mu.Lock()
	a.known[r.Reference] = &trace{id: d.ID, created: a.now()}
	a.mu.Unlock()
	return a.machine(ctx, r.Reference, d), nil
}

// order checks the request against what is sold now, and translates it. It does not check the
// stock, which the cloud knows better than our list.
func (a *Adapter) order(ctx context.Context, r provider.LaunchRequest) (body deploy, remembered bool, err error) {
	if len(r.AuthorizedKeys) != 1 {
		return deploy{}, false, upstream.Rejected(
			"This offer requires exactly one SSH key. Add others to the machine once it runs.",
		)
	}
	o, err := a.offer(ctx, r.OfferKey, r.Region)
	if err != nil {
		return deploy{}, false, err
	}
	if !slices.Contains(o.OperatingSystems, r.OperatingSystem) {
		return deploy{}, false, upstream.Rejected(
			"This offer no longer has that operating system. Choose one that it lists.",
		)
	}
	if r.CloudInit != "" && !o.Capabilities.CloudInit {
		return deploy{}, false, upstream.Rejected("This offer does not support cloud-init. Remove the cloud-init text.")
	}
	ci, err := parseCloudInit(r)
	if err != nil {
		return deploy{}, false, err
	}
	team, remembered, err := a.payer(ctx)
	if err != nil {
		return deploy{}, false, err
	}
	return deploy{
		Provider: o.at.provider, OfferID: o.offerID, GPUType: o.gpuType, GPUCount: o.GPUCount, Region: o.at.cluster,
		OperatingSystem: r.OperatingSystem, InstanceType: o.instanceType,
		PublicKey: upstream.BareKey(r.AuthorizedKeys[0]), TeamID: team, Name: upstream.Mark(r.Reference), CloudInit: ci,
	}, remembered, nil
}

// mayCreate counts one more create, or returns KindThrottled with the time to wait: the cloud
// counts creates separately from other requests.
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
		err := errors.New("the cloud allows no more deployments for now")
		return &provider.Error{Kind: provider.KindThrottled, RetryAfter: wait, Cause: err}
	}
	a.creates = append(a.creates, now)
	return nil
}

// referenceOf returns the reference of a machine by the cloud's id, "" for one that is not ours,
// and whether the machine exists.
func (a *Adapter) referenceOf(machine string, active []deployment) (reference id.ID, exists bool) {
	for _, d := range active {
		if d.ID == machine {
			return upstream.ParseMark(id.Deployment, d.Name), !d.ended()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for reference, s := range a.known {
		if s.id == machine && s.endedAt.IsZero() && a.now().Sub(s.created) < settleTime {
			return reference, true // too new for the list
		}
	}
	return "", false
}
