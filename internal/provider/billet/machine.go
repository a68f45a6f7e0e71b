package billet

import (
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

// tagged begins the tag that holds our mark. The name holds it too, but may be changed in the other Billet's dashboard.
const tagged = "billet:"

// active are the statuses of what has not ended.
const active = "pending,deploying,running,stopped,terminating"

// deployment is a machine as the other Billet has it.
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
		if mark, is := strings.CutPrefix(t, tagged); is {
			if reference := upstream.Marked(mark, id.Deployment); reference != "" {
				return reference
			}
		}
	}
	return upstream.Marked(d.Name, id.Deployment)
}

// final tells that it has ended, however it came.
func (d deployment) final() bool {
	return d.Status == "terminated" || d.Status == "failed" || d.Status == "interrupted"
}

func (b *Adapter) fetchDeployments(ctx context.Context) ([]deployment, error) {
	list, pages, err := all[deployment](ctx, b, "/deployments", url.Values{"status": {active}, "sort": {"createdAt"}})
	if err == nil {
		b.paged.Store(pages > 1)
	}
	return list, err
}

// find returns the deployments of that reference, as a list shows them that is at most so old, or asked for now where age is 0. None is certain.
// What is known by its id is returned after its end, too.
func (b *Adapter) find(ctx context.Context, reference id.ID, age time.Duration) ([]deployment, error) {
	look := b.deployments.Fresh
	if age > 0 {
		look = func(ctx context.Context) ([]deployment, error) { return b.deployments.Recent(ctx, age) }
	}
	list, err := look(ctx)
	if err != nil {
		return nil, err
	}
	if found := having(list, reference); len(found) > 0 {
		return found, nil
	}
	if t := b.remembered(reference); t.id != "" { // just made, or just ended
		d, err := get[deployment](ctx, b, "/deployments/"+url.PathEscape(t.id))
		switch {
		case err == nil && !(t.ended && d.final()):
			return []deployment{d}, nil
		case err != nil && provider.KindOf(err) != provider.KindNotFound:
			return nil, err
		}
		b.forget(reference)
	}
	if b.paged.Load() { // one may have slipped from one page to another while they were read
		list, _, err := all[deployment](ctx, b, "/deployments", url.Values{"status": {active}, "tag": {tagged + upstream.Mark(reference)}})
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
		b.forget(reference)
		return deployment{}, notFound("no deployment has this mark")
	case len(found) > 1:
		return deployment{}, unavailable("there are %d deployments of %s", len(found), reference)
	}
	return found[0], nil
}

// Machine returns the machine of that reference.
func (b *Adapter) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	d, err := b.one(ctx, reference, pollEvery/2)
	if err != nil {
		return provider.Machine{}, err
	}
	return b.machine(ctx, d), nil
}

// Machines returns the machines of the account.
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

// machine is the deployment in our words.
func (b *Adapter) machine(ctx context.Context, d deployment) provider.Machine {
	m := provider.Machine{ID: d.ID, Reference: d.reference(), HourlyCost: money.Micros(d.HourlyPrice)}
	if at, err := time.Parse(time.RFC3339Nano, d.CreatedAt); err == nil {
		m.CreatedAt = at.UTC()
	}
	t := b.remembered(m.Reference)
	if t.id != d.ID {
		t = trace{id: d.ID}
	}
	switch d.Status {
	case "pending", "deploying":
		m.State = provider.MachineProvisioning
		for _, s := range d.Steps {
			if s.Status == "active" {
				m.Detail = s.Detail
			}
		}
	case "running":
		if m.State = provider.MachineReady; d.PendingAction == reinstall {
			m.State, m.Detail = provider.MachineProvisioning, "installing the operating system"
		}
	case "stopped":
		m.State = provider.MachineOff
	case "terminating":
		m.State = provider.MachineTerminating
	case "failed":
		m.State, m.Detail = provider.MachineFailed, d.StatusReason
	case "interrupted":
		m.State, m.Detail = provider.MachineLost, d.StatusReason
	case "terminated":
		m.State = provider.MachineGone
	default:
		if m.State = t.state; m.State == "" {
			m.State = provider.MachineProvisioning
		}
		b.note(ctx, "the status of a deployment", d.Status)
	}
	if m.State == provider.MachineReady {
		if net.ParseIP(d.IPAddress) == nil || d.SSHPort < 1 || d.SSHPort > 65535 || upstream.Line(d.SSHUser) == "" {
			m.State, m.Detail = provider.MachineProvisioning, "waiting for an address"
		} else {
			m.Address, m.SSHUser, m.SSHPort, m.SSHHostKeys = d.IPAddress, upstream.Line(d.SSHUser), d.SSHPort, hostKeys(d.SSHHostKeys)
			if len(d.Nodes) > 1 {
				for _, n := range d.Nodes {
					m.Nodes = append(m.Nodes, provider.Node{
						Address: n.IPAddress, PrivateAddress: n.PrivateIPAddress, SSHPort: n.SSHPort, SSHHostKeys: hostKeys(n.SSHHostKeys),
					})
				}
			}
		}
	}
	if m.Reference != "" {
		t.state = m.State
		b.remember(m.Reference, t)
	}
	return m
}

// keyType is how a kind of SSH key is called.
var keyType = regexp.MustCompile(`^(sk-)?(ssh|ecdsa)-[a-z0-9@.-]{1,60}$`)

// hostKeys are the types and keys of known_hosts lines, without the hosts before them.
func hostKeys(lines []string) (out []string) {
	for _, l := range lines {
		fields := strings.Fields(l)
		if i := slices.IndexFunc(fields, keyType.MatchString); i >= 0 && i+1 < len(fields) {
			out = append(out, fields[i]+" "+fields[i+1])
		}
	}
	return out
}

// create is what a deployment is made of.
type create struct {
	OfferID         string   `json:"offerId"`
	Region          string   `json:"region"`
	OperatingSystem string   `json:"operatingSystem"`
	Name            string   `json:"name"`
	Tags            []string `json:"tags"`
	SSHPublicKey    string   `json:"ssh_public_key,omitempty"`
	SSHKeyIDs       []string `json:"sshKeyIds,omitempty"`
	CloudInit       string   `json:"cloudInit,omitempty"`
}

// Launch makes the machine, or returns the one of that reference.
func (b *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	done, err := b.turns.Take(ctx, r.Reference)
	if err != nil {
		return provider.Machine{}, err
	}
	defer done()
	d, err := b.one(ctx, r.Reference, 0)
	if err == nil {
		return b.machine(ctx, d), nil
	}
	if provider.KindOf(err) != provider.KindNotFound {
		return provider.Machine{}, err
	}
	c := create{
		Region: r.Region, OperatingSystem: r.OperatingSystem, Name: upstream.Mark(r.Reference), Tags: []string{tagged + upstream.Mark(r.Reference)}, CloudInit: r.CloudInit,
	}
	var known bool
	if c.OfferID, known = offerID(r.OfferKey); !known {
		return provider.Machine{}, notFound("no offer of another Billet")
	}
	if keys := distinct(r.AuthorizedKeys); len(keys) == 1 {
		c.SSHPublicKey = upstream.BareKey(keys[0])
	} else if c.SSHKeyIDs, err = b.keys.IDs(ctx, keys); err != nil {
		return provider.Machine{}, err
	}
	once := string(r.Reference)
	if r.Anew { // what was answered for another offer does not count
		once += "/" + c.OfferID
	}
	d, err = send[deployment](ctx, b, http.MethodPost, "/deployments", once, c)
	b.deployments.Forget(context.WithoutCancel(ctx))
	if err != nil {
		return provider.Machine{}, err
	}
	b.remember(r.Reference, trace{id: d.ID})
	m := b.machine(ctx, d)
	m.Reference = r.Reference
	return m, nil
}

// Terminate ends the machine.
func (b *Adapter) Terminate(ctx context.Context, reference id.ID) error {
	done, err := b.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	found, err := b.find(ctx, reference, 0)
	if err != nil {
		return err
	}
	for _, d := range found {
		if !d.final() && d.Status != "terminating" {
			_, err := send[deployment](ctx, b, http.MethodDelete, "/deployments/"+url.PathEscape(d.ID), "", nil)
			b.deployments.Forget(context.WithoutCancel(ctx))
			if err != nil && provider.KindOf(err) != provider.KindNotFound {
				return err
			}
		}
		b.remember(reference, trace{id: d.ID, state: provider.MachineTerminating, ended: true})
	}
	return nil
}

const (
	reboot    = "reboot"
	powerOn   = "power-on"
	powerOff  = "power-off"
	reinstall = "reinstall"
)

// Reboot reboots the machine.
func (b *Adapter) Reboot(ctx context.Context, reference id.ID) error {
	return b.act(ctx, reference, reboot, "", nil)
}

// PowerOn switches the machine on.
func (b *Adapter) PowerOn(ctx context.Context, reference id.ID) error {
	return b.act(ctx, reference, powerOn, "running", nil)
}

// PowerOff switches the machine off; it is paid for on.
func (b *Adapter) PowerOff(ctx context.Context, reference id.ID) error {
	return b.act(ctx, reference, powerOff, "stopped", nil)
}

// Reinstall wipes the machine and installs the operating system, with the keys of its launch, which the other Billet has.
func (b *Adapter) Reinstall(ctx context.Context, reference id.ID, operatingSystem string) error {
	return b.act(ctx, reference, reinstall, "", map[string]any{"operatingSystem": operatingSystem, "eraseLocalDisks": true})
}

// act has something done to the machine. already is the status in which there is nothing to do.
func (b *Adapter) act(ctx context.Context, reference id.ID, what, already string, body any) error {
	done, err := b.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	d, err := b.one(ctx, reference, 0)
	switch {
	case err != nil:
		return err
	case d.PendingAction == what && body == nil, d.PendingAction == "" && d.Status == already:
		return nil
	case d.PendingAction != "" && d.PendingAction != what:
		return unavailable("a %s is under way", d.PendingAction)
	}
	_, err = send[deployment](ctx, b, http.MethodPost, "/deployments/"+url.PathEscape(d.ID)+"/"+what, "", body)
	b.deployments.Forget(context.WithoutCancel(ctx))
	if already != "" && provider.KindOf(err) == provider.KindRejected {
		if now, looked := b.one(ctx, reference, 0); looked == nil && now.PendingAction == "" && now.Status == already { // it came about meanwhile
			return nil
		}
	}
	return err
}

func distinct(lines []string) (out []string) {
	for _, l := range lines {
		if !slices.ContainsFunc(out, func(o string) bool { return upstream.SameKey(o, l) }) {
			out = append(out, l)
		}
	}
	return out
}
