package shadeform

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// wireInstance is the part of a machine that we read.
type wireInstance struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Tags      []string `json:"tags"`
	Status    string   `json:"status"`
	IP        string   `json:"ip"`
	SSHUser   string   `json:"ssh_user"`
	SSHPort   int      `json:"ssh_port"`
	CreatedAt string   `json:"created_at"`
	ActiveAt  string   `json:"active_at"`
	// HourlyPrice is in cents. Terms.HourlyPrice, in dollars, takes precedence.
	HourlyPrice upstream.StatedCents `json:"hourly_price"`
	Terms       struct {
		HourlyPrice upstream.StatedDollars `json:"hourly_price"`
	} `json:"rental_terms"`
}

// cost is the hourly price that the cloud states for the machine; 0 where it states none.
func (x wireInstance) cost() money.Micros {
	return cmp.Or(money.Micros(x.Terms.HourlyPrice), money.Micros(x.HourlyPrice))
}

// createBody is the request for a machine.
type createBody struct {
	Cloud      string   `json:"cloud"`
	Region     string   `json:"region"`
	Type       string   `json:"shade_instance_type"`
	ShadeCloud bool     `json:"shade_cloud"`
	Name       string   `json:"name"`
	OS         string   `json:"os"`
	SSHKeyID   string   `json:"ssh_key_id"`
	Tags       []string `json:"tags"`
}

// Launch implements provider.Provider.
func (a *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	return a.CreateOnce(ctx, r.Reference, func(ctx context.Context) (string, error) {
		body, err := a.check(ctx, r)
		if err != nil {
			return "", err
		}
		if body.SSHKeyID, err = a.keys.ID(ctx, r.AuthorizedKeys[0]); err != nil {
			return "", err
		}
		var made struct {
			ID string `json:"id"`
		}
		err = a.client.Do(ctx, upstream.Request{
			Method: http.MethodPost, Path: "/instances/create", Body: body, Into: &made,
		})
		return made.ID, err
	})
}

// check translates the request, and refuses what is not sold.
func (a *Adapter) check(ctx context.Context, r provider.LaunchRequest) (createBody, error) {
	var body createBody
	switch {
	case len(r.AuthorizedKeys) != 1:
		return body, upstream.Rejected("This offer requires exactly one SSH key.")
	case r.CloudInit != "":
		return body, upstream.Rejected("This offer does not support cloud-init. Remove the cloud-init text.")
	}
	o, err := upstream.FindOffer(ctx, a.types, offersAge, r.Region, r.OfferKey)
	if err != nil {
		return body, err
	}
	if !slices.Contains(o.OperatingSystems, r.OperatingSystem) {
		return body, upstream.Rejected("This offer does not have that operating system. Choose one that it lists.")
	}
	cloud, kind, region, _ := cutKey(o.Key)
	mark := upstream.Mark(r.Reference)
	return createBody{
		Cloud: cloud, Region: region, Type: kind, ShadeCloud: true, Name: mark, OS: r.OperatingSystem,
		Tags: []string{mark},
	}, nil
}

// Reboot implements provider.Rebooter.
func (a *Adapter) Reboot(ctx context.Context, reference id.ID) error {
	return a.Act(ctx, reference, func(ctx context.Context, m provider.Machine) error {
		return a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: path(m.ID, "restart")})
	})
}

func path(machine, call string) string { return "/instances/" + url.PathEscape(machine) + "/" + call }

func (a *Adapter) list(ctx context.Context) ([]upstream.Observed, error) {
	var raw json.RawMessage
	if err := a.client.Get(ctx, "/instances", nil, &raw); err != nil {
		return nil, err
	}
	return machinesOf(raw)
}

// machinesOf parses the response of /instances: all of it, or an error, since a machine that is
// left out would be taken for gone.
func machinesOf(raw []byte) ([]upstream.Observed, error) {
	var response struct {
		Instances *[]wireInstance `json:"instances"`
	}
	if err := json.Unmarshal(raw, &response); err != nil || response.Instances == nil {
		return nil, upstream.Malformed("the machines", err)
	}
	all := make([]upstream.Observed, len(*response.Instances))
	for i, x := range *response.Instances {
		if x.ID == "" || x.Status == "" {
			return nil, upstream.Malformed("each machine's id and status", nil)
		}
		all[i] = x.observed()
	}
	return all, nil
}

func (a *Adapter) get(ctx context.Context, machine string) (upstream.Observed, error) {
	var x wireInstance
	if err := a.client.Get(ctx, path(machine, "info"), nil, &x); err != nil {
		return upstream.Observed{}, err
	}
	if x.ID == "" || x.Status == "" {
		return upstream.Observed{}, upstream.Malformed("the machine's id and status", nil)
	}
	return x.observed(), nil
}

func (a *Adapter) end(ctx context.Context, machine string) error {
	return a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: path(machine, "delete")})
}

// observed translates the machine.
func (x wireInstance) observed() upstream.Observed {
	// The tag counts before the name, which users change.
	reference := upstream.ParseMark(id.Deployment, append(slices.Clone(x.Tags), x.Name)...)
	o := upstream.Observed{Status: x.Status, Machine: provider.Machine{
		ID: x.ID, Reference: reference, HourlyCost: x.cost(), CreatedAt: upstream.ParseTime(x.CreatedAt),
	}}
	switch x.Status {
	case "creating":
		o.State = provider.MachineProvisioning
	case "pending_provider":
		o.State, o.Detail = provider.MachineProvisioning, "waiting for the cloud that has the machine"
	case "pending":
		o.State, o.Detail = provider.MachineProvisioning, "the machine is being prepared"
	case "active":
		o.State = provider.MachineReady
	case "error":
		o.State, o.Detail = provider.MachineFailed, "the cloud could not create the machine"
		if x.ActiveAt != "" {
			o.State, o.Detail = provider.MachineLost, "the cloud reports the machine as broken"
		}
	case "deleting":
		o.State = provider.MachineTerminating
	case "deleted":
		o.State = provider.MachineGone
	}
	// The address may be a name, which is resolved when connecting.
	if x.SSHPort >= 0 && x.SSHPort <= 65535 {
		o.Address, o.SSHUser, o.SSHPort = x.IP, cmp.Or(x.SSHUser, "shadeform"), cmp.Or(x.SSHPort, 22)
	}
	return o
}
