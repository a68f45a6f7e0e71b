package latitude

import (
	"context"
	"encoding/json"
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

// server is a machine as the cloud has it.
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

// reference is our name of it; "" where it is none of ours.
func (s server) reference() id.ID { return upstream.Marked(s.Hostname, id.Deployment) }

// elsewhere tells that it is of another project than ours.
func (l *Adapter) elsewhere(s server) bool {
	return s.Project.ID != "" && s.Project.Slug != "" && s.Project.ID != l.project && s.Project.Slug != l.project
}

func readServer(r resource) (server, error) {
	var s server
	if err := json.Unmarshal(r.Attributes, &s); err != nil {
		return s, unavailable("server %.80q cannot be read: %w", r.ID, err)
	}
	s.ID = r.ID
	return s, nil
}

func readProject(r resource) (project, error) {
	var p project
	if err := json.Unmarshal(r.Attributes, &p); err != nil {
		return p, unavailable("project %.80q cannot be read: %w", r.ID, err)
	}
	return p, nil
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

// find returns the servers of that reference, as a list shows them that is at most so old, or asked for now where age is 0. None is certain.
func (l *Adapter) find(ctx context.Context, reference id.ID, age time.Duration) ([]server, error) {
	look := l.servers.Fresh
	if age > 0 {
		look = func(ctx context.Context) ([]server, error) { return l.servers.Recent(ctx, age) }
	}
	list, err := look(ctx)
	if err != nil {
		return nil, err
	}
	found := having(list, reference)
	if len(found) > 0 {
		return found, nil
	}
	if t := l.remembered(reference); t.id != "" { // not listed yet, or not any more
		r, err := l.get(ctx, "/servers/"+url.PathEscape(t.id))
		switch {
		case err == nil:
			s, err := readServer(r)
			return []server{s}, err
		case provider.KindOf(err) != provider.KindNotFound:
			return nil, err
		case t.ended.IsZero() && l.account.Now().Sub(t.made) < settleTime:
			return nil, unavailable("server %s was made and is not shown yet", t.id)
		}
		l.forget(reference)
	}
	if l.paged.Load() { // one may have slipped from one page to another while they were read
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
		return server{}, errNoMachine
	case len(found) > 1:
		return server{}, unavailable("there are %d servers of %s", len(found), reference)
	}
	return found[0], nil
}

// Machine returns the machine of that reference.
func (l *Adapter) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	s, err := l.one(ctx, reference, pollEvery/2)
	if err != nil {
		return provider.Machine{}, err
	}
	return l.machine(ctx, s)
}

// Machines returns the machines of the project.
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

// prune forgets what is not listed and has had the time to be.
func (l *Adapter) prune(list []server) {
	there := map[id.ID]bool{}
	for _, s := range list {
		there[s.reference()] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for reference, t := range l.traces {
		if now := l.account.Now(); !there[reference] && now.Sub(t.made) > settleTime && now.Sub(t.ended) > settleTime {
			delete(l.traces, reference)
		}
	}
}

// machine is the server in our words.
func (l *Adapter) machine(ctx context.Context, s server) (provider.Machine, error) {
	m := provider.Machine{ID: s.ID, Reference: s.reference(), CreatedAt: moment(s.CreatedAt), HourlyCost: money.Micros(s.Price)}
	t := l.remembered(m.Reference)
	if t.id != s.ID {
		t = trace{}
	}
	switch s.Status {
	case "starting_deploy", "deploying":
		m.State, m.Detail = provider.MachineProvisioning, "installing the operating system"
	case "disk_erasing":
		m.State, m.Detail = provider.MachineProvisioning, "erasing the drives"
	case "on", "rescue_mode":
		m.State = provider.MachineReady
		if l.stale(m, t) {
			m.State, m.Detail = provider.MachineProvisioning, "installing the operating system"
		}
	case "off":
		m.State = provider.MachineOff
	case "failed_deployment":
		m.State, m.Detail = provider.MachineFailed, "The provider could not install this machine."
	case "failed_disk_erasing":
		m.State, m.Detail = provider.MachineFailed, "The provider could not erase the drives of this machine."
	default:
		if m.State = t.state; m.State == "" {
			m.State = provider.MachineProvisioning
		}
		if s.Status != "unknown" {
			l.note(ctx, "the status of a server", s.Status)
		}
	}
	if !t.ended.IsZero() {
		m.State, m.Detail = provider.MachineTerminating, ""
	}
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
		l.recall(m.Reference, func(t *trace) {
			if t.id != s.ID {
				*t = trace{id: s.ID, record: t.record}
			}
			if s.Status != "on" && s.Status != "unknown" {
				t.moved = true
			}
			if t.state = m.State; t.wish == powerOff && m.State == provider.MachineOff || t.wish == powerOn && m.State == provider.MachineReady {
				t.wish = ""
			}
		})
	}
	return m, nil
}

// stale reports whether the word "on" may be that of before the installation: the cloud says it of
// a server that was just made or is just reinstalled, and half a minute later that it deploys.
func (l *Adapter) stale(m provider.Machine, t trace) bool {
	if t.moved {
		return false
	}
	now := l.account.Now()
	return now.Sub(m.CreatedAt) < staleFor || now.Sub(t.made) < staleFor || now.Sub(t.wiped) < staleFor
}

const sshPort = 22

// user returns who logs in to that operating system.
func (l *Adapter) user(ctx context.Context, slug string) (string, error) {
	systems, err := l.systems.Recent(ctx, shelfLife)
	if err != nil {
		return "", err
	}
	for _, s := range systems {
		if user := upstream.Line(s.User); s.Slug == slug && user != "" {
			return user, nil
		}
	}
	return defaultUser, nil
}

// create is what a server is made of.
type create struct {
	Project         string   `json:"project"`
	Plan            string   `json:"plan"`
	Site            string   `json:"site"`
	OperatingSystem string   `json:"operating_system"`
	Hostname        string   `json:"hostname"`
	SSHKeys         []string `json:"ssh_keys"`
	UserData        string   `json:"user_data,omitempty"`
	Billing         string   `json:"billing"`
}

// Launch makes the machine, or returns the one of that reference.
func (l *Adapter) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	done, err := l.turns.Take(ctx, r.Reference)
	if err != nil {
		return provider.Machine{}, err
	}
	defer done()
	s, err := l.one(ctx, r.Reference, 0)
	if err == nil {
		return l.machine(ctx, s)
	}
	if provider.KindOf(err) != provider.KindNotFound {
		return provider.Machine{}, err
	}
	c, runs, err := l.plan(ctx, r)
	if err != nil {
		return provider.Machine{}, err
	}
	if runs && r.HostKey.Public != "" {
		r.CloudInit = cloudinit.WithHostKey(r.CloudInit, r.HostKey.Private, r.HostKey.Public)
	}
	if c.SSHKeys, err = l.keying.IDs(ctx, r.AuthorizedKeys); err != nil {
		return provider.Machine{}, err
	}
	record := l.remembered(r.Reference).record // of a launch that did not get further
	if record == "" {
		if record, err = l.write(ctx, r); err != nil {
			return provider.Machine{}, err
		}
		l.recall(r.Reference, func(t *trace) { t.record, t.made = record, l.account.Now() })
	}
	if r.CloudInit != "" {
		c.UserData = record
	}
	var answer struct{ Data resource }
	err = l.send(ctx, http.MethodPost, "/servers", "servers", c, &answer)
	l.servers.Forget(context.WithoutCancel(ctx))
	if err != nil {
		switch provider.KindOf(err) {
		case provider.KindRejected:
			l.keys.Forget(context.WithoutCancel(ctx)) // one of them may be gone
			fallthrough
		case provider.KindNoCapacity, provider.KindNotFound, provider.KindQuota: // nothing comes of it
			l.erase(ctx, record)
			l.forget(r.Reference)
		}
		return provider.Machine{}, err
	}
	if answer.Data.ID == "" {
		return provider.Machine{}, unavailable("a server without an id was made of %s", r.Reference)
	}
	l.recall(r.Reference, func(t *trace) {
		*t = trace{id: answer.Data.ID, record: record, made: l.account.Now()}
	})
	if s, err = readServer(answer.Data); err != nil || s.reference() != r.Reference { // it is made, whatever the answer says of it
		return provider.Machine{ID: answer.Data.ID, Reference: r.Reference, State: provider.MachineProvisioning}, nil
	}
	m, err := l.machine(ctx, s)
	if m.State == provider.MachineReady { // a later look decides
		m.State, m.Address, m.SSHUser, m.SSHPort = provider.MachineProvisioning, "", "", 0
	}
	return m, err
}

// plan returns what the request asks for in the cloud's words, without keys and user data, and
// whether the plan runs cloud-init.
func (l *Adapter) plan(ctx context.Context, r provider.LaunchRequest) (c create, features bool, err error) {
	c = create{Project: l.project, Plan: r.OfferKey, Hostname: upstream.Mark(r.Reference), Billing: "hourly"}
	plans, err := l.plans.Recent(ctx, 2*syncEvery)
	if err != nil {
		return c, false, err
	}
	for _, p := range plans {
		if o, is := p.offer(); is && p.Slug == r.OfferKey && c.Site == "" {
			c.Site, features = p.sites()[r.Region].name, o.Capabilities.CloudInit
		}
	}
	if c.Site == "" {
		return c, false, &provider.Error{Kind: provider.KindNotFound}
	}
	if r.CloudInit != "" && !features {
		return c, false, rejected("This offer cannot run cloud-init. Leave it out or choose another offer.")
	}
	c.OperatingSystem, err = l.system(ctx, c.Plan, r.OperatingSystem)
	return c, features, err
}

// system returns the slug of that operating system on that plan.
func (l *Adapter) system(ctx context.Context, plan, name string) (string, error) {
	systems, err := l.systems.Recent(ctx, shelfLife)
	if err != nil {
		return "", err
	}
	for _, c := range choices(systems, plan) {
		if c.name == name {
			return c.slug, nil
		}
	}
	return "", rejected("The provider does not have this operating system for this offer.")
}

// Terminate ends the machine.
func (l *Adapter) Terminate(ctx context.Context, reference id.ID) error {
	done, err := l.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	found, err := l.find(ctx, reference, 0)
	if err != nil {
		return err
	}
	for _, s := range found {
		t := l.remembered(reference)
		if t.id == s.ID && !t.ended.IsZero() && l.account.Now().Sub(t.ended) < settleTime {
			continue // its end was asked for a moment ago
		}
		err := l.send(ctx, http.MethodDelete, "/servers/"+url.PathEscape(s.ID), "", nil, nil)
		l.servers.Forget(context.WithoutCancel(ctx))
		if err != nil && provider.KindOf(err) != provider.KindNotFound {
			return err
		}
		l.recall(reference, func(t *trace) {
			if t.id != s.ID {
				*t = trace{id: s.ID}
			}
			t.ended, t.record = l.account.Now(), ""
		})
		l.erase(ctx, t.record)
	}
	if t := l.remembered(reference); len(found) == 0 && t.record != "" { // a launch that got no further
		l.erase(ctx, t.record)
		l.forget(reference)
	}
	return nil
}
