package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	// tagReference and tagLaunched are the keys of our tags: the mark, and when the launch was
	// sent, in Unix seconds.
	tagReference = "billet"
	tagLaunched  = "billet-launched"
	// maxUserData is the most bytes of a cloud-init text that the cloud accepts.
	maxUserData = 1_000_000
)

// wireInstance is the part of a machine that we read. The secrets of its notebook are left out on
// purpose.
type wireInstance struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	Tags   []wireTag `json:"tags"`
	Status string    `json:"status"`
	IP     string    `json:"ip"`
	Type   struct {
		Price upstream.StatedCents `json:"price_cents_per_hour"`
	} `json:"instance_type"`
	Actions struct {
		Restart struct {
			Reason string `json:"reason_code"`
		} `json:"restart"`
	} `json:"actions"`
}

type wireTag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type wireFamily struct {
	Family string `json:"family"`
}

// launchBody is the request for a machine.
type launchBody struct {
	Region   string      `json:"region_name"`
	Type     string      `json:"instance_type_name"`
	Keys     []string    `json:"ssh_key_names"` // exactly one
	Name     string      `json:"name"`
	Image    *wireFamily `json:"image,omitempty"`
	UserData string      `json:"user_data,omitempty"`
	Tags     []wireTag   `json:"tags"`
}

// Launch implements provider.Provider.
func (a *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	return a.CreateOnce(ctx, r.Reference, func(ctx context.Context) (string, error) {
		body, err := a.check(ctx, r)
		if err != nil {
			return "", err
		}
		if err := a.mayLaunch(false); err != nil { // before the key takes requests
			return "", err
		}
		key, err := a.keys.ID(ctx, r.AuthorizedKeys[0])
		if err != nil {
			return "", err
		}
		if err := a.mayLaunch(true); err != nil {
			return "", err
		}
		body.Keys = []string{key}
		body.Tags = []wireTag{{tagReference, body.Name}, {tagLaunched, strconv.FormatInt(a.account.Now().Unix(), 10)}}
		var made struct {
			Data struct {
				IDs []string `json:"instance_ids"`
			} `json:"data"`
		}
		if err := a.operate(ctx, "launch", body, &made); err != nil {
			return "", err
		}
		if len(made.Data.IDs) != 1 {
			return "", upstream.Malformed("the id of one machine", nil)
		}
		return made.Data.IDs[0], nil
	})
}

// check translates the request, and refuses what is not sold.
func (a *Adapter) check(ctx context.Context, r provider.LaunchRequest) (launchBody, error) {
	var body launchBody
	switch {
	case len(r.AuthorizedKeys) != 1:
		return body, upstream.Rejected("This offer requires exactly one SSH key.")
	case len(r.CloudInit) > maxUserData:
		return body, upstream.Rejected("The cloud-init text is too long for this offer. Shorten it to 1 MB.")
	}
	kind, region, _ := strings.Cut(r.OfferKey, "/")
	o, err := upstream.FindOffer(ctx, a.offers, offersAge, r.Region, r.OfferKey)
	if provider.IsKind(err, provider.KindNotFound) {
		a.mu.Lock()
		_, known := a.seen[kind]
		a.mu.Unlock()
		// A type that is out of stock everywhere has no regions.
		if known && region != "" && upstream.Slug(region) == r.Region {
			return body, &provider.Error{Kind: provider.KindNoCapacity, Cause: err}
		}
	}
	if err != nil {
		return body, err
	}
	if !slices.Contains(o.OperatingSystems, r.OperatingSystem) {
		return body, upstream.Rejected("This offer does not have that operating system. Choose one that it lists.")
	}
	body = launchBody{Region: region, Type: kind, Name: upstream.Mark(r.Reference), UserData: r.CloudInit}
	if r.HostKey.Public != "" {
		body.UserData = cloudinit.WithHostKey(r.CloudInit, r.HostKey.Private, r.HostKey.Public)
	}
	if r.OperatingSystem != DefaultSystem {
		body.Image = &wireFamily{r.OperatingSystem}
	}
	return body, nil
}

// operate sends an operation on machines.
func (a *Adapter) operate(ctx context.Context, operation string, body, into any) error {
	return a.client.Do(ctx, upstream.Request{
		Method: http.MethodPost, Path: "/instance-operations/" + operation, Body: body, Into: into,
	})
}

// machineIDs is the body of an operation on one machine.
func machineIDs(machine string) map[string][]string {
	return map[string][]string{"instance_ids": {machine}}
}

// Reboot implements provider.Rebooter.
func (a *Adapter) Reboot(ctx context.Context, reference id.ID) error {
	return a.Act(ctx, reference, func(ctx context.Context, m provider.Machine) error {
		var response struct {
			Data struct {
				Machines []wireInstance `json:"restarted_instances"`
			} `json:"data"`
		}
		err := a.operate(ctx, "restart", machineIDs(m.ID), &response)
		switch {
		case err == nil && !named(response.Data.Machines, m.ID):
			return upstream.Malformed("the restarted machine", nil)
		case !provider.IsKind(err, provider.KindRejected):
			return err
		}
		// A conflict: the machine states with what.
		x, failed := a.instance(ctx, m.ID)
		switch {
		case failed != nil:
			return upstream.ListError(failed)
		case x.Actions.Restart.Reason == "vm-action-in-progress":
			return nil
		case x.Actions.Restart.Reason == "vm-has-not-launched":
			return &provider.Error{
				Kind: provider.KindRejected, Message: "The machine has not started yet. Reboot it once it runs.",
				Cause: err,
			}
		}
		return err
	})
}

func (a *Adapter) end(ctx context.Context, machine string) error {
	var response struct {
		Data struct {
			Machines []wireInstance `json:"terminated_instances"`
		} `json:"data"`
	}
	err := a.operate(ctx, "terminate", machineIDs(machine), &response)
	if err == nil && !named(response.Data.Machines, machine) {
		return upstream.Malformed("the terminated machine", nil)
	}
	// A conflict with an action that will end.
	if e, is := errors.AsType[*provider.Error](err); is && e.Kind == provider.KindRejected {
		e.RetryAfter = max(e.RetryAfter, pollEvery)
	}
	return err
}

func named(all []wireInstance, machine string) bool {
	return slices.ContainsFunc(all, func(x wireInstance) bool { return x.ID == machine })
}

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
		Data *[]wireInstance `json:"data"`
	}
	if err := json.Unmarshal(raw, &response); err != nil || response.Data == nil {
		return nil, upstream.Malformed("the machines", err)
	}
	all := make([]upstream.Observed, len(*response.Data))
	for i, x := range *response.Data {
		if x.ID == "" || x.Status == "" {
			return nil, upstream.Malformed("each machine's id and status", nil)
		}
		all[i] = x.observed()
	}
	return all, nil
}

func (a *Adapter) instance(ctx context.Context, machine string) (wireInstance, error) {
	var response struct {
		Data wireInstance `json:"data"`
	}
	err := a.client.Get(ctx, "/instances/"+url.PathEscape(machine), nil, &response)
	if err == nil && (response.Data.ID == "" || response.Data.Status == "") {
		err = upstream.Malformed("the machine's id and status", nil)
	}
	return response.Data, err
}

func (a *Adapter) get(ctx context.Context, machine string) (upstream.Observed, error) {
	x, err := a.instance(ctx, machine)
	if err != nil {
		return upstream.Observed{}, err
	}
	return x.observed(), nil
}

// observed translates the machine.
func (x wireInstance) observed() upstream.Observed {
	// The tag counts before the name, which users change.
	o := upstream.Observed{Status: x.Status, Machine: provider.Machine{
		ID: x.ID, Reference: upstream.ParseMark(id.Deployment, x.tag(tagReference), x.Name),
		Address: x.IP, SSHUser: "ubuntu", SSHPort: 22, HourlyCost: money.Micros(x.Type.Price),
	}}
	launched, err := strconv.ParseInt(x.tag(tagLaunched), 10, 64)
	if err == nil && launched > 0 && launched < 1<<40 && o.Reference != "" {
		o.CreatedAt = time.Unix(launched, 0).UTC()
	}
	switch x.Status {
	case "booting":
		o.State = provider.MachineProvisioning
	case "active":
		o.State = provider.MachineReady
	case "unhealthy":
		o.State, o.Unhealthy, o.Detail = provider.MachineReady, true, "the cloud reports the machine as unhealthy"
	case "terminating":
		o.State = provider.MachineTerminating
	case "terminated":
		o.State = provider.MachineGone
	case "preempted":
		o.State, o.Detail = provider.MachineLost, "the cloud reclaimed the machine"
	}
	return o
}

func (x wireInstance) tag(key string) string {
	for _, t := range x.Tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}
