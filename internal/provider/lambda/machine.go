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
	// tagReference and tagLaunched are the keys of our tags: the mark, and when the launch was sent, in Unix seconds.
	tagReference = "billet"
	tagLaunched  = "billet-launched"
	// maxUserData is the most bytes of a cloud-init text that the cloud takes.
	maxUserData = 1_000_000
)

// wireInstance is a machine, as far as we read it: what opens its notebook is left out on purpose.
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

// launchBody asks for a machine.
type launchBody struct {
	Region   string      `json:"region_name"`
	Type     string      `json:"instance_type_name"`
	Keys     []string    `json:"ssh_key_names"` // exactly one
	Name     string      `json:"name"`
	Image    *wireFamily `json:"image,omitempty"`
	UserData string      `json:"user_data,omitempty"`
	Tags     []wireTag   `json:"tags"`
}

// Launch answers as provider.Provider's.
func (a *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	return a.fleet.Launch(ctx, r.Reference, func(ctx context.Context) (string, error) {
		body, err := a.check(ctx, r)
		if err != nil {
			return "", err
		}
		if err := a.mayLaunch(false); err != nil { // before the key costs requests
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
		body.Tags = []wireTag{{tagReference, body.Name}, {tagLaunched, strconv.FormatInt(a.now().Unix(), 10)}}
		var made struct {
			Data struct {
				IDs []string `json:"instance_ids"`
			} `json:"data"`
		}
		if err := a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: "/instance-operations/launch", Body: body, Into: &made}); err != nil {
			return "", err
		}
		if len(made.Data.IDs) != 1 {
			return "", upstream.Garbage("the id of one machine", nil)
		}
		return made.Data.IDs[0], nil
	})
}

// check turns the request into the cloud's words, and refuses what is not sold.
func (a *Adapter) check(ctx context.Context, r provider.LaunchRequest) (launchBody, error) {
	var body launchBody
	switch {
	case len(r.AuthorizedKeys) != 1:
		return body, &provider.Error{Kind: provider.KindRejected, Message: "This offer takes exactly one SSH key; choose one."}
	case len(r.CloudInit) > maxUserData:
		return body, &provider.Error{Kind: provider.KindRejected, Message: "The cloud-init text is too long for this offer; shorten it to 1 MB."}
	}
	sold, err := a.sold.Recent(ctx, offersAge)
	if err != nil {
		return body, err
	}
	kind, region, _ := strings.Cut(r.OfferKey, "/")
	i := slices.IndexFunc(sold, func(o provider.Offer) bool { return o.Key == r.OfferKey && o.Region == r.Region })
	if i < 0 {
		a.mu.Lock()
		_, known := a.seen[kind]
		a.mu.Unlock()
		if known && region != "" && upstream.Slug(region) == r.Region { // a type that can be had nowhere has no regions
			return body, &provider.Error{Kind: provider.KindNoCapacity, Cause: errors.New("the type is not to be had in that region")}
		}
		return body, &provider.Error{Kind: provider.KindNotFound, Cause: errors.New("no such offer in that region")}
	}
	if !slices.Contains(sold[i].OperatingSystems, r.OperatingSystem) {
		return body, &provider.Error{Kind: provider.KindRejected, Message: "This offer does not have that operating system; choose one that it names."}
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

// machines is what names the machines of an operation.
func machines(machine string) map[string][]string {
	return map[string][]string{"instance_ids": {machine}}
}

// Reboot answers as provider.Rebooter's.
func (a *Adapter) Reboot(ctx context.Context, reference id.ID) error {
	return a.fleet.Do(ctx, reference, func(ctx context.Context, m provider.Machine) error {
		var answer struct {
			Data struct {
				Machines []wireInstance `json:"restarted_instances"`
			} `json:"data"`
		}
		err := a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: "/instance-operations/restart", Body: machines(m.ID), Into: &answer})
		switch {
		case err == nil && !named(answer.Data.Machines, m.ID):
			return upstream.Garbage("the machine that restarts", nil)
		case err == nil || provider.KindOf(err) != provider.KindRejected:
			return err
		}
		// A conflict: the machine says with what.
		x, looked := a.ask(ctx, m.ID)
		switch {
		case looked != nil:
			return upstream.Looking(looked)
		case x.Actions.Restart.Reason == "vm-action-in-progress":
			return nil
		case x.Actions.Restart.Reason == "vm-has-not-launched":
			return &provider.Error{Kind: provider.KindRejected, Message: "The machine has not started yet; reboot it once it runs.", Cause: err}
		}
		return err
	})
}

func (a *Adapter) end(ctx context.Context, machine string) error {
	var answer struct {
		Data struct {
			Machines []wireInstance `json:"terminated_instances"`
		} `json:"data"`
	}
	err := a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: "/instance-operations/terminate", Body: machines(machine), Into: &answer})
	if err == nil && !named(answer.Data.Machines, machine) {
		return upstream.Garbage("the machine that ends", nil)
	}
	if e := (*provider.Error)(nil); errors.As(err, &e) && e.Kind == provider.KindRejected { // a conflict, with an action that passes
		e.RetryAfter = max(e.RetryAfter, pollEvery)
	}
	return err
}

func named(all []wireInstance, machine string) bool {
	return slices.ContainsFunc(all, func(x wireInstance) bool { return x.ID == machine })
}

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
		Data *[]wireInstance `json:"data"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Data == nil {
		return nil, upstream.Garbage("the machines", err)
	}
	all := make([]upstream.Seen, len(*answer.Data))
	for i, x := range *answer.Data {
		if x.ID == "" || x.Status == "" {
			return nil, upstream.Garbage("each machine's id and status", nil)
		}
		all[i] = x.seen()
	}
	return all, nil
}

func (a *Adapter) ask(ctx context.Context, machine string) (wireInstance, error) {
	var answer struct {
		Data wireInstance `json:"data"`
	}
	if err := a.client.Get(ctx, "/instances/"+url.PathEscape(machine), nil, &answer); err != nil {
		return wireInstance{}, err
	}
	if answer.Data.ID == "" || answer.Data.Status == "" {
		return wireInstance{}, upstream.Garbage("the machine's id and status", nil)
	}
	return answer.Data, nil
}

func (a *Adapter) get(ctx context.Context, machine string) (upstream.Seen, error) {
	x, err := a.ask(ctx, machine)
	if err != nil {
		return upstream.Seen{}, err
	}
	return x.seen(), nil
}

// seen puts the machine into our words.
func (x wireInstance) seen() upstream.Seen {
	s := upstream.Seen{Word: x.Status, Machine: provider.Machine{ID: x.ID, Reference: x.reference(), Address: x.IP, SSHUser: "ubuntu", SSHPort: 22,
		HourlyCost: money.Micros(x.Type.Price)}}
	if seconds, err := strconv.ParseInt(x.tag(tagLaunched), 10, 64); err == nil && seconds > 0 && seconds < 1<<40 && s.Reference != "" {
		s.CreatedAt = time.Unix(seconds, 0).UTC()
	}
	switch x.Status {
	case "booting":
		s.State = provider.MachineProvisioning
	case "active":
		s.State = provider.MachineReady
	case "unhealthy":
		s.State, s.Unhealthy, s.Detail = provider.MachineReady, true, "the cloud finds the machine unhealthy"
	case "terminating":
		s.State = provider.MachineTerminating
	case "terminated":
		s.State = provider.MachineGone
	case "preempted":
		s.State, s.Detail = provider.MachineLost, "the cloud has taken the machine back"
	}
	return s
}

func (x wireInstance) tag(key string) string {
	for _, t := range x.Tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

// reference reads the mark: that of the tag, else that of the name.
func (x wireInstance) reference() id.ID {
	if reference := upstream.Marked(x.tag(tagReference), id.Deployment); reference != "" {
		return reference
	}
	return upstream.Marked(x.Name, id.Deployment)
}
