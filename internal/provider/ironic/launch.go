package ironic

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	// maxCandidates is among how many nodes Ironic may choose.
	maxCandidates = 200
	// allocateTries and allocatePause bound waiting for the choice, which takes 3 s for the loser
	// of a race.
	allocateTries = 40
	allocatePause = 250 * time.Millisecond
)

// allocation is Ironic's reservation of a node.
type allocation struct {
	UUID      string  `json:"uuid"`
	Name      *string `json:"name"`
	State     string  `json:"state"` // allocating, active, error
	Node      *string `json:"node_uuid"`
	LastError *string `json:"last_error"`
	CreatedAt string  `json:"created_at"`
}

// reference is the deployment that the allocation is for, or "".
func (a allocation) reference() id.ID {
	if a.Name == nil || !id.ID(*a.Name).Valid(id.Deployment) {
		return ""
	}
	return id.ID(*a.Name)
}

func allocationPath(name string) string { return "/v1/allocations/" + url.PathEscape(name) }

func (x *Adapter) allocation(ctx context.Context, reference id.ID) (allocation, error) {
	var a allocation
	err := x.read(ctx, allocationPath(string(reference)), &a)
	if err == nil && (a.UUID == "" || a.State == "") {
		err = upstream.Malformed("the allocation", nil)
	}
	return a, err
}

// Launch implements provider.Provider. Each step finds what an interrupted launch has done.
func (x *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (m provider.Machine, err error) {
	err = x.locks.Do(ctx, r.Reference, func() error {
		a, err := x.allocation(ctx, r.Reference)
		if err == nil && a.State == "error" { // of an earlier launch
			if err = x.release(ctx, r.Reference); err == nil {
				err = &provider.Error{Kind: provider.KindNotFound}
			}
		}
		if provider.IsKind(err, provider.KindNotFound) {
			a, err = x.reserve(ctx, r)
		}
		if err != nil {
			return err
		}
		n, err := x.node(ctx, a)
		if err != nil {
			return err
		}
		if n.State == "available" {
			if n, err = x.deploy(ctx, r, a, n); err != nil {
				return err
			}
		}
		m = machineOf(a, n)
		return nil
	})
	return m, err
}

// reserve makes an allocation and waits for its node.
func (x *Adapter) reserve(ctx context.Context, r provider.LaunchRequest) (allocation, error) {
	if _, known := x.image(r.OperatingSystem); !known {
		return allocation{}, errUnknownSystem()
	}
	all, err := x.nodes.Fresh(ctx)
	if err != nil {
		return allocation{}, err
	}
	sold, candidates := false, []string{}
	for _, n := range all {
		if n.problem != "" || n.class() != r.OfferKey || n.terms.Region != r.Region {
			continue
		}
		sold = true
		if n.free() && len(candidates) < maxCandidates {
			candidates = append(candidates, n.UUID)
		}
	}
	switch {
	case !sold:
		return allocation{}, upstream.NotFound("there is no offer %.80q in %.80q", r.OfferKey, r.Region)
	case len(candidates) == 0:
		return allocation{}, &provider.Error{Kind: provider.KindNoCapacity}
	}
	body := map[string]any{
		"name": string(r.Reference), "resource_class": r.OfferKey, "candidate_nodes": candidates,
		"extra": map[string]string{"billet": upstream.CleanText(r.Name)},
	}
	err = x.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: "/v1/allocations", Body: body})
	if err != nil {
		return allocation{}, err
	}
	for range allocateTries {
		a, err := x.allocation(ctx, r.Reference)
		switch {
		case err != nil:
			return a, upstream.ListError(err)
		case a.State == "error":
			return a, x.failed(ctx, r.Reference, a)
		case a.State == "active":
			return a, nil
		}
		if err := x.account.Sleep(ctx, allocatePause); err != nil {
			return a, upstream.Unavailable("%w", err)
		}
	}
	return allocation{}, upstream.Unavailable("Ironic has not chosen a node yet")
}

// failed removes an allocation that got no node, and returns why.
func (x *Adapter) failed(ctx context.Context, reference id.ID, a allocation) error {
	if err := x.release(ctx, reference); err != nil {
		return err
	}
	reason := "no reason"
	if a.LastError != nil {
		reason = provider.Plain(*a.LastError, 500)
	}
	cause := fmt.Errorf("the allocation failed: %s", reason)
	if upstream.ContainsAny(reason, noCapacity) {
		return &provider.Error{Kind: provider.KindNoCapacity, Cause: cause}
	}
	return &provider.Error{Kind: provider.KindUnavailable, Cause: cause}
}

// release deletes an allocation whose node was not deployed.
func (x *Adapter) release(ctx context.Context, reference id.ID) error {
	return upstream.IgnoreNotFound(x.change(ctx, http.MethodDelete, allocationPath(string(reference)), nil, nil))
}

// deploy has Ironic install the node. Where Ironic refuses that, nothing is left.
func (x *Adapter) deploy(ctx context.Context, r provider.LaunchRequest, a allocation, n node) (node, error) {
	i, known := x.image(r.OperatingSystem)
	if !known || n.problem != "" {
		// The settings or the terms changed since the allocation.
		return n, x.giveBack(ctx, r.Reference, upstream.Rejected("This offer has changed. Choose another one."))
	}
	info := i.info()
	info["display_name"] = string(r.Reference)
	info["billet_address"] = n.terms.ip() // which stays, whatever the operator changes
	err := x.patchInfo(ctx, n.UUID, info)
	if err == nil {
		drive := configDrive(r, n.terms.network)
		err = x.provision(ctx, n.UUID, map[string]any{"target": "active", "configdrive": drive})
	}
	if provider.IsKind(err, provider.KindRejected) || provider.IsKind(err, provider.KindNoCapacity) {
		return n, x.giveBack(ctx, r.Reference, err)
	}
	if err != nil {
		return n, err
	}
	return x.node(ctx, a)
}

// giveBack releases the allocation, and returns the reason where that succeeded.
func (x *Adapter) giveBack(ctx context.Context, reference id.ID, reason error) error {
	if err := x.release(ctx, reference); err != nil {
		return upstream.ListError(err)
	}
	return reason
}

func (x *Adapter) provision(ctx context.Context, node string, body map[string]any) error {
	return x.change(ctx, http.MethodPut, "/v1/nodes/"+url.PathEscape(node)+"/states/provision", body, nil)
}

// patchInfo sets entries of a node's instance_info, and keeps the others.
func (x *Adapter) patchInfo(ctx context.Context, node string, info map[string]string) error {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value string `json:"value"`
	}
	var body []operation
	for _, key := range slices.Sorted(maps.Keys(info)) {
		body = append(body, operation{"add", "/instance_info/" + key, info[key]})
	}
	return x.change(ctx, http.MethodPatch, "/v1/nodes/"+url.PathEscape(node), body, nil)
}

// configDrive is what the machine reads when it starts, in the form of OpenStack's metadata.
func configDrive(r provider.LaunchRequest, n network) map[string]any {
	keys := map[string]string{}
	for i, line := range r.AuthorizedKeys {
		keys[strconv.Itoa(i)] = upstream.BareKey(line)
	}
	user := r.CloudInit
	if r.HostKey.Public != "" {
		user = cloudinit.WithHostKey(user, r.HostKey.Private, r.HostKey.Public)
	}
	out := map[string]any{"meta_data": map[string]any{
		"uuid": string(r.Reference), "hostname": upstream.Mark(r.Reference), "name": upstream.Mark(r.Reference),
		"public_keys": keys,
	}}
	if user != "" {
		out["user_data"] = user
	}
	if data := n.data(); data != nil {
		out["network_data"] = data
	}
	return out
}
