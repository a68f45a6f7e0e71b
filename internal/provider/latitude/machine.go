package latitude

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// server is a machine at the cloud.
type server struct {
	ID              string `json:"-"`
	Hostname        string
	Status          string
	PrimaryIPv4     string `json:"primary_ipv4"`
	CreatedAt       string `json:"created_at"`
	Price           upstream.StatedDollars
	Plan            struct{ Slug string }
	OperatingSystem struct{ Slug string } `json:"operating_system"`
	Project         struct{ ID, Slug string }
}

// reference returns the reference in the host name; "" for a server that is not ours.
func (s server) reference() id.ID { return upstream.ParseMark(id.Deployment, s.Hostname) }

// elsewhere reports whether the server belongs to another project.
func (l *Adapter) elsewhere(s server) bool {
	return s.Project.ID != "" && s.Project.Slug != "" && s.Project.ID != l.project && s.Project.Slug != l.project
}

func readServer(r resource) (server, error) {
	var s server
	if err := json.Unmarshal(r.Attributes, &s); err != nil {
		return s, upstream.Malformed(fmt.Sprintf("server %.80q", r.ID), err)
	}
	s.ID = r.ID
	return s, nil
}

func (l *Adapter) fetchServers(ctx context.Context) ([]server, error) {
	list, pages, err := l.all(ctx, "/servers", nil)
	if err != nil {
		return nil, err
	}
	l.paged.Store(pages > 1)
	return l.ours(list)
}

func (l *Adapter) ours(list []resource) ([]server, error) {
	var out []server
	for _, r := range list {
		s, err := readServer(r)
		if err != nil {
			return nil, err
		}
		if !l.elsewhere(s) {
			out = append(out, s)
		}
	}
	return out, nil
}

// find returns the servers of that reference, from a list that is at most that old. Where it
// returns none, there is none.
func (l *Adapter) find(ctx context.Context, reference id.ID, age time.Duration) ([]server, error) {
	list, err := l.servers.Recent(ctx, age)
	if err != nil {
		return nil, err
	}
	found := having(list, reference)
	if len(found) > 0 {
		return found, nil
	}
	if t := l.memory.Get(reference); t.id != "" { // not listed yet, or no longer
		r, err := l.get(ctx, "/servers/"+url.PathEscape(t.id))
		switch {
		case err == nil:
			s, err := readServer(r)
			return []server{s}, err
		case !provider.IsKind(err, provider.KindNotFound):
			return nil, err
		case t.ended.IsZero() && l.account.Now().Sub(t.created) < settleTime:
			return nil, upstream.Unavailable("server %s was created and is not shown yet", t.id)
		}
		l.memory.Forget(reference)
	}
	if l.paged.Load() { // one may have moved from one page to another while they were read
		list, _, err := l.all(ctx, "/servers", url.Values{"filter[hostname]": {upstream.Mark(reference)}})
		if err != nil {
			return nil, err
		}
		servers, err := l.ours(list)
		return having(servers, reference), err
	}
	return nil, nil
}

func having(list []server, reference id.ID) (found []server) {
	for _, s := range list {
		if s.reference() == reference {
			found = append(found, s)
		}
	}
	return found
}

// one returns the one server of that reference; KindNotFound where there is none.
func (l *Adapter) one(ctx context.Context, reference id.ID, age time.Duration) (server, error) {
	found, err := l.find(ctx, reference, age)
	switch {
	case err != nil:
		return server{}, err
	case len(found) == 0:
		return server{}, upstream.NotFound("no server has the host name of %s", reference)
	case len(found) > 1:
		return server{}, upstream.Unavailable("%d servers have the host name of %s", len(found), reference)
	}
	return found[0], nil
}

// Machine implements provider.Provider.
func (l *Adapter) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	s, err := l.one(ctx, reference, pollEvery/2)
	if err != nil {
		return provider.Machine{}, err
	}
	return l.machine(ctx, s)
}

// Machines implements provider.Provider. It returns those of the project.
func (l *Adapter) Machines(ctx context.Context) ([]provider.Machine, error) {
	list, err := l.servers.Fresh(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Machine, 0, len(list))
	for _, s := range list {
		m, err := l.machine(ctx, s)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	l.prune(list)
	return out, nil
}

// prune forgets what is not listed although it should be by now.
func (l *Adapter) prune(list []server) {
	listed := map[id.ID]bool{}
	for _, s := range list {
		listed[s.reference()] = true
	}
	now := l.account.Now()
	l.memory.ForgetFunc(func(reference id.ID, t trace) bool {
		return !listed[reference] && now.Sub(t.created) > settleTime && now.Sub(t.ended) > settleTime
	})
}

// machine translates the server.
func (l *Adapter) machine(ctx context.Context, s server) (provider.Machine, error) {
	m := provider.Machine{
		ID: s.ID, Reference: s.reference(), CreatedAt: upstream.ParseTime(s.CreatedAt),
		HourlyCost: money.Micros(s.Price),
	}
	t := l.memory.Get(m.Reference).of(s.ID)
	m.State, m.Detail = l.state(ctx, s, t, m.CreatedAt)
	if m.State == provider.MachineReady {
		if net.ParseIP(s.PrimaryIPv4) == nil {
			m.State, m.Detail = provider.MachineProvisioning, "waiting for an address"
		} else {
			user, err := l.user(ctx, s.OperatingSystem.Slug)
			if err != nil {
				return provider.Machine{}, err
			}
			m.Address, m.SSHUser, m.SSHPort = s.PrimaryIPv4, user, sshPort
		}
	}
	if m.Reference != "" {
		l.memory.Update(m.Reference, func(t *trace) {
			*t = t.of(s.ID)
			if s.Status != "on" && s.Status != "unknown" {
				t.moved = true
			}
			t.state = m.State
			switch {
			case t.action == powerOff && m.State == provider.MachineOff,
				t.action == powerOn && m.State == provider.MachineReady:
				t.action = ""
			}
		})
	}
	return m, nil
}

// state translates the status of a server.
func (l *Adapter) state(
	ctx context.Context, s server, t trace, created time.Time,
) (state provider.MachineState, detail string) {
	if !t.ended.IsZero() {
		return provider.MachineTerminating, ""
	}
	switch s.Status {
	case "starting_deploy", "deploying":
		return provider.MachineProvisioning, "installing the operating system"
	case "disk_erasing":
		return provider.MachineProvisioning, "erasing the drives"
	case "on", "rescue_mode":
		if l.stale(t, created) {
			return provider.MachineProvisioning, "installing the operating system"
		}
		return provider.MachineReady, ""
	case "off":
		return provider.MachineOff, ""
	case "failed_deployment":
		return provider.MachineFailed, "The provider could not install this machine."
	case "failed_disk_erasing":
		return provider.MachineFailed, "The provider could not erase the drives of this machine."
	case "unknown":
	default:
		l.warnings.UnknownStatus(ctx, l.account, "server", s.Status)
	}
	return cmp.Or(t.state, provider.MachineProvisioning), ""
}

// stale reports whether the status "on" may be that of before the installation. The cloud shows it
// for a server that was just created or reinstalled, and half a minute later that it deploys.
func (l *Adapter) stale(t trace, created time.Time) bool {
	if t.moved {
		return false
	}
	now := l.account.Now()
	return now.Sub(created) < staleFor || now.Sub(t.created) < staleFor || now.Sub(t.wiped) < staleFor
}

const sshPort = 22

// user returns the login user of that operating system.
func (l *Adapter) user(ctx context.Context, slug string) (string, error) {
	systems, err := l.systems.Recent(ctx, catalogAge)
	if err != nil {
		return "", err
	}
	for _, s := range systems {
		if user := upstream.CleanText(s.User); s.Slug == slug && user != "" {
			return user, nil
		}
	}
	return defaultUser, nil
}

// createBody is the request for a server.
type createBody struct {
	Project         string   `json:"project"`
	Plan            string   `json:"plan"`
	Site            string   `json:"site"`
	OperatingSystem string   `json:"operating_system"`
	Hostname        string   `json:"hostname"`
	SSHKeys         []string `json:"ssh_keys"`
	UserData        string   `json:"user_data,omitempty"`
	Billing         string   `json:"billing"`
}

// Launch implements provider.Provider.
func (l *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	find := func(ctx context.Context) (provider.Machine, error) {
		s, err := l.one(ctx, r.Reference, 0)
		if err != nil {
			return provider.Machine{}, err
		}
		return l.machine(ctx, s)
	}
	return upstream.CreateOnce(ctx, &l.locks, r.Reference, find, func(ctx context.Context) (provider.Machine, error) {
		c, record, err := l.prepare(ctx, r)
		if err != nil {
			return provider.Machine{}, err
		}
		return l.create(ctx, r.Reference, c, record)
	})
}

// prepare returns the request for a server, after uploading the keys and the user data that it
// refers to.
func (l *Adapter) prepare(ctx context.Context, r provider.LaunchRequest) (c createBody, record string, err error) {
	c, runsCloudInit, err := l.order(ctx, r)
	if err != nil {
		return c, "", err
	}
	if runsCloudInit && r.HostKey.Public != "" {
		r.CloudInit = cloudinit.WithHostKey(r.CloudInit, r.HostKey.Private, r.HostKey.Public)
	}
	if c.SSHKeys, err = l.keys.IDs(ctx, r.AuthorizedKeys); err != nil {
		return c, "", err
	}
	record = l.memory.Get(r.Reference).record // of a launch that got no further
	if record == "" {
		if record, err = l.storeRecord(ctx, r); err != nil {
			return c, "", err
		}
		l.memory.Update(r.Reference, func(t *trace) { t.record, t.created = record, l.account.Now() })
	}
	if r.CloudInit != "" {
		c.UserData = record
	}
	return c, record, nil
}

// create sends the request, once.
func (l *Adapter) create(ctx context.Context, reference id.ID, c createBody, record string) (provider.Machine, error) {
	var response struct{ Data resource }
	err := l.send(ctx, http.MethodPost, "/servers", "servers", c, &response)
	l.servers.Forget()
	if err != nil {
		if provider.IsKind(err, provider.KindRejected) {
			l.sshKeys.Forget() // one of them may be gone
		}
		if provider.Decided(err) && !provider.IsKind(err, provider.KindUnsupported) { // nothing was created
			l.deleteRecord(ctx, record)
			l.memory.Forget(reference)
		}
		return provider.Machine{}, err
	}
	if response.Data.ID == "" {
		return provider.Machine{}, upstream.Malformed("the id of the server that it created", nil)
	}
	l.memory.Update(reference, func(t *trace) {
		*t = trace{id: response.Data.ID, record: record, created: l.account.Now()}
	})
	m := provider.Machine{ID: response.Data.ID, Reference: reference, State: provider.MachineProvisioning}
	s, err := readServer(response.Data)
	if err != nil || s.reference() != reference { // it is created nevertheless
		return m, nil
	}
	if m, err = l.machine(ctx, s); m.State == provider.MachineReady { // a later list decides
		m.State, m.Address, m.SSHUser, m.SSHPort = provider.MachineProvisioning, "", "", 0
	}
	return m, err
}

// order checks the request and translates it, without keys and user data. It also returns whether
// the plan runs cloud-init.
func (l *Adapter) order(ctx context.Context, r provider.LaunchRequest) (c createBody, cloudInit bool, err error) {
	c = createBody{Project: l.project, Plan: r.OfferKey, Hostname: upstream.Mark(r.Reference), Billing: "hourly"}
	plans, err := l.plans.Recent(ctx, 2*syncEvery)
	if err != nil {
		return c, false, err
	}
	for _, p := range plans {
		if o, ok := p.offer(); ok && p.Slug == r.OfferKey && c.Site == "" {
			c.Site, cloudInit = p.sites()[r.Region].name, o.Capabilities.CloudInit
		}
	}
	if c.Site == "" {
		return c, false, upstream.NotFound("there is no offer %.80q in %.80q", r.OfferKey, r.Region)
	}
	if r.CloudInit != "" && !cloudInit {
		return c, false, upstream.Rejected(
			"This offer does not support cloud-init. Leave it out or choose another offer.",
		)
	}
	c.OperatingSystem, err = l.system(ctx, c.Plan, r.OperatingSystem)
	return c, cloudInit, err
}

// system returns the slug of that operating system on that plan.
func (l *Adapter) system(ctx context.Context, plan, name string) (string, error) {
	systems, err := l.systems.Recent(ctx, catalogAge)
	if err != nil {
		return "", err
	}
	for _, c := range choices(systems, plan) {
		if c.name == name {
			return c.slug, nil
		}
	}
	return "", upstream.Rejected("This offer does not have that operating system. Choose one that it lists.")
}

// Terminate implements provider.Provider. It ends every server of the reference.
func (l *Adapter) Terminate(ctx context.Context, reference id.ID) error {
	return l.locks.Do(ctx, reference, func() error {
		found, err := l.find(ctx, reference, 0)
		if err != nil {
			return err
		}
		for _, s := range found {
			t := l.memory.Get(reference)
			if t.id == s.ID && !t.ended.IsZero() && l.account.Now().Sub(t.ended) < settleTime {
				continue // its end was requested a moment ago
			}
			err := l.send(ctx, http.MethodDelete, "/servers/"+url.PathEscape(s.ID), "", nil, nil)
			l.servers.Forget()
			if err = upstream.IgnoreNotFound(err); err != nil {
				return err
			}
			l.memory.Update(reference, func(t *trace) {
				*t = t.of(s.ID)
				t.ended, t.record = l.account.Now(), ""
			})
			l.deleteRecord(ctx, t.record)
		}
		if t := l.memory.Get(reference); len(found) == 0 && t.record != "" { // a launch that got no further
			l.deleteRecord(ctx, t.record)
			l.memory.Forget(reference)
		}
		return nil
	})
}
