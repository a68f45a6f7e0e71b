package ironic

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// read reads one object.
func (x *Adapter) read(ctx context.Context, path string, into any) error {
	var raw json.RawMessage
	if err := x.client.Get(ctx, path, nil, &raw); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return upstream.Malformed(path, err)
	}
	return nil
}

// node returns the node of an allocation. Where it is no longer that of the allocation, the machine
// is gone.
func (x *Adapter) node(ctx context.Context, a allocation) (node, error) {
	if a.Node == nil {
		return node{}, upstream.NotFound("the allocation %s has no node", a.UUID)
	}
	var n node
	var raw json.RawMessage
	err := x.client.Get(ctx, "/v1/nodes/"+url.PathEscape(*a.Node), url.Values{"fields": {fields}}, &raw)
	if err != nil {
		return n, upstream.ListError(err)
	}
	if err := json.Unmarshal(raw, &n); err != nil || n.UUID == "" || n.State == "" {
		return n, upstream.Malformed("the node", err)
	}
	if n.Allocation == nil || *n.Allocation != a.UUID {
		return n, upstream.NotFound("the node %s no longer belongs to the allocation %s", n.UUID, a.UUID)
	}
	n.read()
	return n, nil
}

// find returns the allocation of the reference and its node; KindNotFound where it has none.
func (x *Adapter) find(ctx context.Context, reference id.ID) (allocation, node, error) {
	a, err := x.allocation(ctx, reference)
	if err != nil {
		return a, node{}, err
	}
	n, err := x.node(ctx, a)
	return a, n, err
}

// Machine implements provider.Provider.
func (x *Adapter) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	a, n, err := x.find(ctx, reference)
	if err == nil && n.State == "available" {
		err = upstream.NotFound("the launch was interrupted before the node %s was deployed", n.UUID)
	}
	if err != nil {
		return provider.Machine{}, err
	}
	x.report(ctx, n)
	return machineOf(a, n), nil
}

// report logs why a node failed, which tenants are not told.
func (x *Adapter) report(ctx context.Context, n node) {
	if (n.State == "deploy failed" || n.State == "error") && n.LastError != nil {
		x.warnings.Warn(ctx, x.account.Log, "Ironic reports a failed node", "provider", x.account.Slug,
			"node", upstream.CleanText(n.name()), "state", n.State, "error", provider.Plain(*n.LastError, 500))
	}
}

// Machines implements provider.Provider. Nodes are read first: the node of what is allocated
// meanwhile is read by itself.
func (x *Adapter) Machines(ctx context.Context) ([]provider.Machine, error) {
	nodes, err := x.nodes.Fresh(ctx)
	if err != nil {
		return nil, err
	}
	allocations, err := pages[allocation](ctx, x, "allocations", url.Values{},
		func(a allocation) string { return a.UUID })
	if err != nil {
		return nil, err
	}
	byAllocation := map[string]node{}
	for _, n := range nodes {
		if n.Allocation != nil {
			byAllocation[*n.Allocation] = n
		}
	}
	var out []provider.Machine
	for _, a := range allocations {
		n, has := byAllocation[a.UUID]
		if !has && a.State == "active" {
			n, err = x.node(ctx, a) // it was allocated in between, or has just ended
			if provider.IsKind(err, provider.KindNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			has = true
		}
		if has {
			out = append(out, machineOf(a, n))
		}
	}
	return out, nil
}

// machineOf translates a node with its allocation.
func machineOf(a allocation, n node) provider.Machine {
	m := provider.Machine{
		ID: a.UUID, Reference: a.reference(),
		Address: n.InstanceInfo.Address, SSHUser: n.InstanceInfo.User, SSHPort: 22,
		HourlyCost: n.terms.HourlyPrice.Amount, CreatedAt: upstream.ParseTime(a.CreatedAt),
	}
	m.State, m.Detail = stateOf(n)
	switch n.State {
	case "rescue", "rescuing", "rescue wait", "rescue failed", "unrescuing", "unrescue failed", "servicing",
		"service wait", "service failed", "service hold":
		m.Unhealthy = true
	}
	if m.State == provider.MachineReady && m.Address == "" {
		m.State = provider.MachineProvisioning
	}
	return m
}

// stateOf translates the state of a node that is allocated.
func stateOf(n node) (provider.MachineState, string) {
	switch n.State {
	case "active":
		if n.Power != nil && *n.Power == "power off" {
			return provider.MachineOff, ""
		}
		return provider.MachineReady, ""
	case "available":
		return provider.MachineProvisioning, "the server is reserved"
	case "deploying", "wait call-back", "deploy hold":
		return provider.MachineProvisioning, "the operating system is being installed"
	case "deploy failed":
		return provider.MachineFailed, "the operating system could not be installed"
	case "deleting", "error", "cleaning", "clean wait", "clean failed":
		return provider.MachineTerminating, ""
	}
	return provider.MachineReady, "the operator is servicing the server"
}

// Terminate implements provider.Provider. Ironic deletes the allocation when the node was taken
// down, and cleans the node afterwards.
func (x *Adapter) Terminate(ctx context.Context, reference id.ID) error {
	return x.locks.Do(ctx, reference, func() error {
		a, err := x.allocation(ctx, reference)
		if provider.IsKind(err, provider.KindNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if a.Node == nil { // it got none, or none yet
			return x.release(ctx, reference)
		}
		n, err := x.node(ctx, a)
		switch {
		case provider.IsKind(err, provider.KindNotFound):
			return nil
		case err != nil:
			return err
		case n.State == "available":
			return x.release(ctx, reference)
		case n.State == "deleting":
			return nil
		}
		// A state in which a node cannot be taken down does not last.
		return upstream.ListError(x.provision(ctx, n.UUID, map[string]any{"target": "deleted"}))
	})
}

// act calls f with the node of a machine that runs.
func (x *Adapter) act(ctx context.Context, reference id.ID, f func(node) error) error {
	return x.locks.Do(ctx, reference, func() error {
		_, n, err := x.find(ctx, reference)
		if err != nil {
			return err
		}
		if n.State != "active" {
			return upstream.Rejected("The machine is not ready. Try again when it runs.")
		}
		return f(n)
	})
}

// power changes the power, unless that is the state already or is being made.
func (x *Adapter) power(ctx context.Context, reference id.ID, state string) error {
	return x.act(ctx, reference, func(n node) error {
		current := n.Power
		if n.TargetPower != nil {
			current = n.TargetPower
		}
		if current != nil && *current == state {
			return nil
		}
		return x.change(ctx, http.MethodPut, "/v1/nodes/"+url.PathEscape(n.UUID)+"/states/power",
			map[string]string{"target": state}, nil)
	})
}

// PowerOn implements provider.Powerer.
func (x *Adapter) PowerOn(ctx context.Context, reference id.ID) error {
	return x.power(ctx, reference, "power on")
}

// PowerOff implements provider.Powerer.
func (x *Adapter) PowerOff(ctx context.Context, reference id.ID) error {
	return x.power(ctx, reference, "power off")
}

// Reboot implements provider.Rebooter.
func (x *Adapter) Reboot(ctx context.Context, reference id.ID) error {
	return x.power(ctx, reference, "rebooting")
}

// Reinstall implements provider.Reinstaller. Ironic keeps the config drive, and so the keys.
func (x *Adapter) Reinstall(ctx context.Context, reference id.ID, operatingSystem string) error {
	i, known := x.image(operatingSystem)
	return x.act(ctx, reference, func(n node) error {
		if !known {
			return errUnknownSystem()
		}
		if err := x.patchInfo(ctx, n.UUID, i.info()); err != nil {
			return err
		}
		return x.provision(ctx, n.UUID, map[string]any{"target": "rebuild"})
	})
}
