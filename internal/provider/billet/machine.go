package billet

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// tagPrefix begins the tag that has our mark. The name has it, too, but can be changed in the other
// Billet's dashboard.
const tagPrefix = "billet:"

// activeStatuses are those of deployments that have not ended.
const activeStatuses = "pending,deploying,running,stopped,terminating"

// deployment is a machine at the other Billet.
type deployment struct {
	ID            string                 `json:"id"`
	Name          string                 `json:"name"`
	Status        string                 `json:"status"`
	StatusReason  string                 `json:"statusReason"`
	Provider      string                 `json:"provider"`
	Region        string                 `json:"region"`
	IPAddress     string                 `json:"ipAddress"`
	SSHUser       string                 `json:"sshUser"`
	SSHPort       int                    `json:"sshPort"`
	SSHHostKeys   []string               `json:"sshHostKeys"`
	Tags          []string               `json:"tags"`
	PendingAction string                 `json:"pendingAction"`
	CreatedAt     string                 `json:"createdAt"`
	HourlyPrice   upstream.StatedDollars `json:"hourlyPrice"`
	Nodes         []struct {
		IPAddress        string   `json:"ipAddress"`
		PrivateIPAddress string   `json:"privateIpAddress"`
		SSHPort          int      `json:"sshPort"`
		SSHHostKeys      []string `json:"sshHostKeys"`
	} `json:"nodes"`
	Steps []struct {
		Status string `json:"status"`
		Detail string `json:"detail"`
	} `json:"steps"`
}

func (d deployment) key() string { return d.ID }

// reference is our name of it; "" where it is none of ours.
func (d deployment) reference() id.ID {
	for _, t := range d.Tags {
		mark, _ := strings.CutPrefix(t, tagPrefix)
		if reference := upstream.ParseMark(id.Deployment, mark); reference != "" && mark != t {
			return reference
		}
	}
	return upstream.ParseMark(id.Deployment, d.Name)
}

// final reports whether it has ended.
func (d deployment) final() bool {
	return d.Status == "terminated" || d.Status == "failed" || d.Status == "interrupted"
}

func (b *Adapter) fetchDeployments(ctx context.Context) ([]deployment, error) {
	list, pages, err := all[deployment](
		ctx, b, "/deployments", url.Values{"status": {activeStatuses}, "sort": {"createdAt"}},
	)
	if err == nil {
		b.paged.Store(pages > 1)
	}
	return list, err
}

// find returns the deployments of that reference, from a list that is at most that old. Where it
// returns none, there is none. One that is known by its id is returned after its end, too.
func (b *Adapter) find(ctx context.Context, reference id.ID, age time.Duration) ([]deployment, error) {
	list, err := b.deployments.Recent(ctx, age)
	if err != nil {
		return nil, err
	}
	if found := having(list, reference); len(found) > 0 {
		return found, nil
	}
	if t := b.memory.Get(reference); t.id != "" { // just created, or just ended
		d, err := get[deployment](ctx, b, "/deployments/"+url.PathEscape(t.id))
		switch {
		case err == nil && !(t.ended && d.final()):
			return []deployment{d}, nil
		case upstream.IgnoreNotFound(err) != nil:
			return nil, err
		}
		b.memory.Forget(reference)
	}
	// An older list may lack a machine that another replica launched since, and one may have moved
	// from one page to another while they were read. A machine that is wrongly reported as missing
	// would be given up.
	if age > 0 || b.paged.Load() {
		filter := url.Values{"status": {activeStatuses}, "tag": {tagPrefix + upstream.Mark(reference)}}
		list, _, err := all[deployment](ctx, b, "/deployments", filter)
		return having(list, reference), err
	}
	return nil, nil
}

func having(list []deployment, reference id.ID) (found []deployment) {
	for _, d := range list {
		if d.reference() == reference {
			found = append(found, d)
		}
	}
	return found
}

// one returns the one deployment of that reference; KindNotFound where there is none.
func (b *Adapter) one(ctx context.Context, reference id.ID, age time.Duration) (deployment, error) {
	found, err := b.find(ctx, reference, age)
	switch {
	case err != nil:
		return deployment{}, err
	case len(found) == 0 || found[0].Status == "terminated":
		b.memory.Forget(reference)
		return deployment{}, upstream.NotFound("no deployment has the mark of %s", reference)
	case len(found) > 1:
		return deployment{}, upstream.Unavailable("%d deployments have the mark of %s", len(found), reference)
	}
	return found[0], nil
}

// Machine implements provider.Provider.
func (b *Adapter) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	d, err := b.one(ctx, reference, pollEvery/2)
	if err != nil {
		return provider.Machine{}, err
	}
	return b.machine(ctx, d), nil
}

// Machines implements provider.Provider.
func (b *Adapter) Machines(ctx context.Context) ([]provider.Machine, error) {
	list, err := b.deployments.Fresh(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Machine, 0, len(list))
	for _, d := range list {
		out = append(out, b.machine(ctx, d))
	}
	return out, nil
}

// machine translates the deployment.
func (b *Adapter) machine(ctx context.Context, d deployment) provider.Machine {
	m := provider.Machine{
		ID: d.ID, Reference: d.reference(), HourlyCost: money.Micros(d.HourlyPrice),
		CreatedAt: upstream.ParseTime(d.CreatedAt),
	}
	t := b.memory.Get(m.Reference)
	if t.id != d.ID {
		t = trace{id: d.ID}
	}
	m.State, m.Detail = b.state(ctx, d, t)
	if m.State == provider.MachineReady {
		user := upstream.CleanText(d.SSHUser)
		if net.ParseIP(d.IPAddress) == nil || d.SSHPort < 1 || d.SSHPort > 65535 || user == "" {
			m.State, m.Detail = provider.MachineProvisioning, "waiting for an address"
		} else {
			m.Address, m.SSHUser, m.SSHPort, m.SSHHostKeys = d.IPAddress, user, d.SSHPort, hostKeys(d.SSHHostKeys)
			m.Nodes = d.nodes()
		}
	}
	if m.Reference != "" {
		t.state = m.State
		b.memory.Update(m.Reference, func(now *trace) { *now = t })
	}
	return m
}

// nodes returns the nodes of a deployment that has several.
func (d deployment) nodes() (out []provider.Node) {
	if len(d.Nodes) < 2 {
		return nil
	}
	for _, n := range d.Nodes {
		out = append(out, provider.Node{
			Address: n.IPAddress, PrivateAddress: n.PrivateIPAddress, SSHPort: n.SSHPort,
			SSHHostKeys: hostKeys(n.SSHHostKeys),
		})
	}
	return out
}

// state translates the status of a deployment.
func (b *Adapter) state(ctx context.Context, d deployment, t trace) (state provider.MachineState, detail string) {
	switch d.Status {
	case "pending", "deploying":
		for _, s := range d.Steps {
			if s.Status == "active" {
				detail = s.Detail
			}
		}
		return provider.MachineProvisioning, detail
	case "running":
		if d.PendingAction == reinstall {
			return provider.MachineProvisioning, "installing the operating system"
		}
		return provider.MachineReady, ""
	case "stopped":
		return provider.MachineOff, ""
	case "terminating":
		return provider.MachineTerminating, ""
	case "failed":
		return provider.MachineFailed, d.StatusReason
	case "interrupted":
		return provider.MachineLost, d.StatusReason
	case "terminated":
		return provider.MachineGone, ""
	}
	b.warnings.UnknownStatus(ctx, b.account, "deployment", d.Status)
	return cmp.Or(t.state, provider.MachineProvisioning), ""
}

// keyType is the form of the name of an SSH key type.
var keyType = regexp.MustCompile(`^(sk-)?(ssh|ecdsa)-[a-z0-9@.-]{1,60}$`)

// hostKeys returns the types and keys of known_hosts lines, without the hosts before them.
func hostKeys(lines []string) (out []string) {
	for _, l := range lines {
		fields := strings.Fields(l)
		if i := slices.IndexFunc(fields, keyType.MatchString); i >= 0 && i+1 < len(fields) {
			out = append(out, fields[i]+" "+fields[i+1])
		}
	}
	return out
}

// createBody is the request for a deployment.
type createBody struct {
	OfferID         string   `json:"offerId"`
	Region          string   `json:"region"`
	OperatingSystem string   `json:"operatingSystem"`
	Name            string   `json:"name"`
	Tags            []string `json:"tags"`
	SSHPublicKey    string   `json:"ssh_public_key,omitempty"`
	SSHKeyIDs       []string `json:"sshKeyIds,omitempty"`
	CloudInit       string   `json:"cloudInit,omitempty"`
}

// Launch implements provider.Provider.
func (b *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	find := func(ctx context.Context) (provider.Machine, error) {
		d, err := b.one(ctx, r.Reference, 0)
		if err != nil {
			return provider.Machine{}, err
		}
		return b.machine(ctx, d), nil
	}
	return upstream.CreateOnce(ctx, &b.locks, r.Reference, find, func(ctx context.Context) (provider.Machine, error) {
		return b.create(ctx, r)
	})
}

func (b *Adapter) create(ctx context.Context, r provider.LaunchRequest) (m provider.Machine, err error) {
	mark := upstream.Mark(r.Reference)
	body := createBody{
		Region: r.Region, OperatingSystem: r.OperatingSystem, Name: mark, Tags: []string{tagPrefix + mark},
		CloudInit: r.CloudInit,
	}
	var ok bool
	if body.OfferID, ok = offerID(r.OfferKey); !ok {
		return m, upstream.NotFound("%.80q is not an offer of another Billet", r.OfferKey)
	}
	if keys := distinct(r.AuthorizedKeys); len(keys) == 1 {
		body.SSHPublicKey = upstream.BareKey(keys[0])
	} else if body.SSHKeyIDs, err = b.keys.IDs(ctx, keys); err != nil {
		return m, err
	}
	key := string(r.Reference)
	if r.IgnoreEnded { // the response for another offer does not count
		key += "/" + body.OfferID
	}
	d, err := send[deployment](ctx, b, http.MethodPost, "/deployments", key, body)
	b.deployments.Forget()
	if err != nil {
		return m, err
	}
	b.memory.Update(r.Reference, func(t *trace) { *t = trace{id: d.ID} })
	m = b.machine(ctx, d)
	m.Reference = r.Reference
	return m, nil
}

// Terminate implements provider.Provider. It ends every deployment of the reference.
func (b *Adapter) Terminate(ctx context.Context, reference id.ID) error {
	return b.locks.Do(ctx, reference, func() error {
		found, err := b.find(ctx, reference, 0)
		if err != nil {
			return err
		}
		for _, d := range found {
			if !d.final() && d.Status != "terminating" {
				_, err := send[deployment](ctx, b, http.MethodDelete, "/deployments/"+url.PathEscape(d.ID), "", nil)
				b.deployments.Forget()
				if err = upstream.IgnoreNotFound(err); err != nil {
					return err
				}
			}
			b.memory.Update(reference, func(t *trace) {
				*t = trace{id: d.ID, state: provider.MachineTerminating, ended: true}
			})
		}
		return nil
	})
}

const (
	reboot    = "reboot"
	powerOn   = "power-on"
	powerOff  = "power-off"
	reinstall = "reinstall"
)

// Reboot implements provider.Rebooter.
func (b *Adapter) Reboot(ctx context.Context, reference id.ID) error {
	return b.act(ctx, reference, reboot, "", nil)
}

// PowerOn implements provider.Powerer.
func (b *Adapter) PowerOn(ctx context.Context, reference id.ID) error {
	return b.act(ctx, reference, powerOn, "running", nil)
}

// PowerOff implements provider.Powerer. The machine is still billed.
func (b *Adapter) PowerOff(ctx context.Context, reference id.ID) error {
	return b.act(ctx, reference, powerOff, "stopped", nil)
}

// Reinstall implements provider.Reinstaller. The other Billet has the keys of the launch.
func (b *Adapter) Reinstall(ctx context.Context, reference id.ID, operatingSystem string) error {
	body := map[string]any{"operatingSystem": operatingSystem, "eraseLocalDisks": true}
	return b.act(ctx, reference, reinstall, "", body)
}

// act sends an action on the machine. already is the status that needs no action.
func (b *Adapter) act(ctx context.Context, reference id.ID, what, already string, body any) error {
	return b.locks.Do(ctx, reference, func() error {
		d, err := b.one(ctx, reference, 0)
		switch {
		case err != nil:
			return err
		case d.PendingAction == what && body == nil, d.PendingAction == "" && d.Status == already:
			return nil
		case d.PendingAction != "" && d.PendingAction != what:
			return upstream.Unavailable("a %s is in progress", d.PendingAction)
		}
		_, err = send[deployment](ctx, b, http.MethodPost, "/deployments/"+url.PathEscape(d.ID)+"/"+what, "", body)
		b.deployments.Forget()
		if already != "" && provider.IsKind(err, provider.KindRejected) { // perhaps because it is so meanwhile
			now, again := b.one(ctx, reference, 0)
			if again == nil && now.PendingAction == "" && now.Status == already {
				return nil
			}
		}
		return err
	})
}

func distinct(lines []string) (out []string) {
	for _, l := range lines {
		if !slices.ContainsFunc(out, func(o string) bool { return upstream.SameKey(o, l) }) {
			out = append(out, l)
		}
	}
	return out
}
