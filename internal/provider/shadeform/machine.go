package shadeform

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// wireInstance is a machine, as far as we read it.
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
	// HourlyPrice is in cents; the terms, where they are given, are in dollars and count.
	HourlyPrice upstream.StatedCents `json:"hourly_price"`
	Terms       struct {
		HourlyPrice upstream.StatedDollars `json:"hourly_price"`
	} `json:"rental_terms"`
}

// cost is the price of an hour that the cloud states for the machine; 0 where it states none.
func (x wireInstance) cost() money.Micros {
	return cmp.Or(money.Micros(x.Terms.HourlyPrice), money.Micros(x.HourlyPrice))
}

// createBody asks for a machine.
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

// Launch answers as provider.Provider's.
func (a *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	return a.fleet.Launch(ctx, r.Reference, func(ctx context.Context) (string, error) {
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
		err = a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: "/instances/create", Body: body, Into: &made})
		return made.ID, err
	})
}

// check turns the request into the cloud's words, and refuses what is not sold.
func (a *Adapter) check(ctx context.Context, r provider.LaunchRequest) (createBody, error) {
	var body createBody
	switch {
	case len(r.AuthorizedKeys) != 1:
		return body, &provider.Error{Kind: provider.KindRejected, Message: "This offer takes exactly one SSH key; choose one."}
	case r.CloudInit != "":
		return body, &provider.Error{Kind: provider.KindRejected, Message: "This offer takes no cloud-init text; leave it out."}
	}
	sold, err := a.types.Recent(ctx, offersAge)
	if err != nil {
		return body, err
	}
	i := slices.IndexFunc(sold, func(o provider.Offer) bool { return o.Key == r.OfferKey && o.Region == r.Region })
	if i < 0 {
		return body, &provider.Error{Kind: provider.KindNotFound, Cause: errors.New("no such offer in that region")}
	}
	if !slices.Contains(sold[i].OperatingSystems, r.OperatingSystem) {
		return body, &provider.Error{Kind: provider.KindRejected, Message: "This offer does not have that operating system; choose one that it names."}
	}
	cloud, kind, region, _ := cutKey(sold[i].Key)
	mark := upstream.Mark(r.Reference)
	return createBody{Cloud: cloud, Region: region, Type: kind, ShadeCloud: true, Name: mark, OS: r.OperatingSystem, Tags: []string{mark}}, nil
}

// Reboot answers as provider.Rebooter's.
func (a *Adapter) Reboot(ctx context.Context, reference id.ID) error {
	return a.fleet.Do(ctx, reference, func(ctx context.Context, m provider.Machine) error {
		return a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: path(m.ID, "restart")})
	})
}

func path(machine, call string) string { return "/instances/" + url.PathEscape(machine) + "/" + call }

func (a *Adapter) list(ctx context.Context) ([]upstream.Seen, error) {
	var raw json.RawMessage
	if err := a.client.Get(ctx, "/instances", nil, &raw); err != nil {
		return nil, err
	}
	return machinesOf(raw)
}

// machinesOf reads the answer of /instances: all of it, or an error, since who is left out would be taken for gone.
func machinesOf(raw []byte) ([]upstream.Seen, error) {
	var answer struct {
		Instances *[]wireInstance `json:"instances"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Instances == nil {
		return nil, upstream.Garbage("the machines", err)
	}
	all := make([]upstream.Seen, len(*answer.Instances))
	for i, x := range *answer.Instances {
		if x.ID == "" || x.Status == "" {
			return nil, upstream.Garbage("each machine's id and status", nil)
		}
		all[i] = x.seen()
	}
	return all, nil
}

func (a *Adapter) get(ctx context.Context, machine string) (upstream.Seen, error) {
	var x wireInstance
	if err := a.client.Get(ctx, path(machine, "info"), nil, &x); err != nil {
		return upstream.Seen{}, err
	}
	if x.ID == "" || x.Status == "" {
		return upstream.Seen{}, upstream.Garbage("the machine's id and status", nil)
	}
	return x.seen(), nil
}

func (a *Adapter) end(ctx context.Context, machine string) error {
	return a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: path(machine, "delete")})
}

// seen puts the machine into our words.
func (x wireInstance) seen() upstream.Seen {
	s := upstream.Seen{Word: x.Status, Machine: provider.Machine{ID: x.ID, Reference: x.reference(), HourlyCost: x.cost()}}
	s.CreatedAt, _ = time.Parse(time.RFC3339, x.CreatedAt)
	switch x.Status {
	case "creating":
		s.State = provider.MachineProvisioning
	case "pending_provider":
		s.State, s.Detail = provider.MachineProvisioning, "waiting for the cloud that has the machine"
	case "pending":
		s.State, s.Detail = provider.MachineProvisioning, "the machine is being prepared"
	case "active":
		s.State = provider.MachineReady
	case "error":
		s.State, s.Detail = provider.MachineFailed, "the cloud could not make the machine"
		if x.ActiveAt != "" {
			s.State, s.Detail = provider.MachineLost, "the cloud says that the machine is broken"
		}
	case "deleting":
		s.State = provider.MachineTerminating
	case "deleted":
		s.State = provider.MachineGone
	}
	// A name instead of an address is passed on: who connects resolves it.
	if x.SSHPort >= 0 && x.SSHPort <= 65535 {
		s.Address, s.SSHUser, s.SSHPort = x.IP, x.SSHUser, x.SSHPort
		if s.SSHUser == "" {
			s.SSHUser = "shadeform"
		}
		if s.SSHPort == 0 {
			s.SSHPort = 22
		}
	}
	return s
}

// reference reads the mark: that of a tag, else that of the name.
func (x wireInstance) reference() id.ID {
	for _, text := range append(slices.Clone(x.Tags), x.Name) {
		if reference := upstream.Marked(text, id.Deployment); reference != "" {
			return reference
		}
	}
	return ""
}
