package providertest

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

// Cloud is the fake cloud behind the provider. InjectFault, ClearFaults and MachineCount are
// required.
type Cloud struct {
	// InjectFault applies a fault to requests from now on.
	InjectFault func(Fault)
	// ClearFaults removes all faults.
	ClearFaults func()
	// MachineCount returns how many machines the cloud has, whatever its API shows.
	MachineCount func() int
	// SoldOut removes all capacity, or restores it. Nil where the fake cannot.
	SoldOut func(bool)
	// OverQuota puts the account at its limit, or not. Nil where the fake cannot.
	OverQuota func(bool)
	// Revoke makes the cloud refuse the credential, or accept it again. Nil where the fake cannot.
	Revoke func(bool)
}

// Fault is what happens to requests.
type Fault struct {
	Kind FaultKind
	// Writes limits it to requests that change something.
	Writes bool
	// After is how many such requests succeed first.
	After int
	// Times is how many requests it applies to; 0 for all until ClearFaults.
	Times int
}

// FaultKind is the kind of a Fault.
type FaultKind string

// The kinds of faults.
const (
	LostRequest           FaultKind = "lost request"             // the connection breaks before the cloud reads it
	LostResponse          FaultKind = "lost response"            // the cloud acts, then the connection breaks
	BadGateway            FaultKind = "bad gateway"              // 502 with an HTML page; nothing happens
	BadGatewayAfterEffect FaultKind = "bad gateway after effect" // the cloud acts, then 502
	HTMLPage              FaultKind = "HTML page"                // 200 with an HTML page; nothing happens
	Stalled               FaultKind = "stalled"                  // the response begins and never ends
	Throttled             FaultKind = "throttled"                // 429 with Retry-After
	ThrottledWithoutDelay FaultKind = "throttled without delay"  // 429 without
)

// settle waits until an unanswered request has no more effect.
func (s *suite) settle() {
	if s.Settle != nil {
		s.Settle()
	}
	if d := s.Provider.Info().SettleTime; d > 0 {
		s.Advance(d)
	}
}

// persist calls until the provider has decided, as Billet does.
func (s *suite) persist(what string, call func() error) {
	s.Helper()
	var err error
	for range 20 {
		if err = call(); err == nil || provider.Decided(err) {
			break
		}
		s.settle()
		s.Advance(time.Minute)
	}
	s.must(what, err)
}

// cloud returns the fake, and skips the test where there is none.
func (s *suite) cloud() *Cloud {
	s.Helper()
	if s.Cloud == nil {
		s.Skip("the harness has no fake cloud")
	}
	s.Cleanup(s.Cloud.ClearFaults)
	return s.Cloud
}

// testFaultsLaunch launches with each kind of fault, and expects one machine.
func testFaultsLaunch(s *suite) {
	c, o := s.cloud(), s.offer()
	for _, t := range []Fault{
		{Kind: LostRequest, Writes: true, Times: 1}, {Kind: LostResponse, Writes: true, Times: 1},
		{Kind: LostResponse, Writes: true, Times: 3},
		{Kind: BadGateway, Writes: true, Times: 1}, {Kind: BadGatewayAfterEffect, Writes: true, Times: 1},
		{Kind: HTMLPage, Writes: true, Times: 1},
		{Kind: Throttled, Writes: true, Times: 1}, {Kind: ThrottledWithoutDelay, Writes: true, Times: 1},
		{Kind: LostResponse, Writes: true, After: 1, Times: 1},
		{Kind: BadGatewayAfterEffect, Writes: true, After: 1, Times: 1},
		{Kind: BadGateway, Times: 4}, {Kind: Throttled, Times: 4}, {Kind: HTMLPage, Times: 4},
	} {
		s.Logf("%+v", t)
		r := s.request(o)
		before := c.MachineCount()
		c.InjectFault(t)
		var m provider.Machine
		s.persist("Launch", func() (err error) {
			if m, err = s.Provider.Launch(s.Context(), r); err != nil {
				s.wantKind("Launch", err, provider.KindUnavailable, provider.KindThrottled)
			}
			return err
		})
		c.ClearFaults()
		s.settle()
		s.oneMachine(r.Reference, m.ID)
		if made := c.MachineCount(); made != before+1 {
			s.Fatalf("got %d machines after the launch, want %d", made, before+1)
		}
		s.must("Terminate", s.end(s.Context(), r.Reference))
		s.untilGone(s.Context(), r.Reference)
	}
}

// testFaultsReading reads while the cloud returns no useful response: no machine is reported as
// gone.
func testFaultsReading(s *suite) {
	c, r := s.cloud(), s.request(s.offer())
	m := s.launch(r)
	s.ready(r.Reference)
	for _, kind := range []FaultKind{
		LostRequest, LostResponse, BadGateway, HTMLPage, Throttled, ThrottledWithoutDelay, Stalled,
	} {
		s.Advance(10 * time.Minute) // lists are old by then
		c.InjectFault(Fault{Kind: kind})
		ctx, cancel := s.Context(), context.CancelFunc(func() {})
		if kind == Stalled {
			ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
		}
		for what, read := range map[string]func() error{
			"Machine":  func() error { _, err := s.Provider.Machine(ctx, r.Reference); return err },
			"Machines": func() error { _, err := s.Provider.Machines(ctx); return err },
			"Offers":   func() error { _, err := s.Provider.Offers(ctx); return err },
		} {
			s.wantKind(what+" with the fault "+string(kind), read(), provider.KindUnavailable, provider.KindThrottled)
		}
		cancel()
		c.ClearFaults()
	}
	s.Advance(10 * time.Minute)
	s.oneMachine(r.Reference, m.ID)
	s.ready(r.Reference)
	for _, kind := range []FaultKind{LostRequest, LostResponse, BadGateway, BadGatewayAfterEffect, Throttled} {
		c.InjectFault(Fault{Kind: kind, Writes: true, Times: 1})
		if err := s.Provider.Terminate(s.Context(), r.Reference); err != nil {
			s.wantKind("Terminate with answers "+string(kind), err, provider.KindUnavailable, provider.KindThrottled)
		}
		c.ClearFaults()
		s.Advance(10 * time.Minute)
	}
	s.must("Terminate", s.end(s.Context(), r.Reference))
	s.untilGone(s.Context(), r.Reference)
}

// testRevoked makes the cloud refuse the credential, which says nothing about any machine.
func testRevoked(s *suite) {
	c := s.cloud()
	if c.Revoke == nil {
		s.Skip("the fake cannot revoke a credential")
	}
	o := s.offer()
	r, fresh := s.request(o), s.request(o)
	m := s.launch(r)
	before := c.MachineCount()
	s.Advance(10 * time.Minute)
	c.Revoke(true)
	_, err := s.Provider.Machine(s.Context(), r.Reference)
	s.wantKind("Machine", err, provider.KindCredentials)
	_, err = s.Provider.Machines(s.Context())
	s.wantKind("Machines", err, provider.KindCredentials)
	_, err = s.Provider.Launch(s.Context(), fresh)
	s.wantKind("Launch", err, provider.KindCredentials)
	s.wantKind("Terminate", s.Provider.Terminate(s.Context(), r.Reference), provider.KindCredentials)
	c.Revoke(false)
	s.Advance(10 * time.Minute)
	s.oneMachine(r.Reference, m.ID)
	if made := c.MachineCount(); made != before {
		s.Errorf("got %d machines after the credential was refused, want %d", made, before)
	}
}

// testSoldOut launches what is sold out after the list was read.
func testSoldOut(s *suite) {
	c, o := s.cloud(), s.offer()
	for name, refusal := range map[string]struct {
		set  func(bool)
		kind provider.Kind
	}{"sold out": {c.SoldOut, provider.KindNoCapacity}, "over quota": {c.OverQuota, provider.KindQuota}} {
		if refusal.set == nil {
			continue
		}
		r, before := s.request(o), c.MachineCount()
		s.Advance(time.Minute) // some clouds limit launches, and count those that they refuse
		refusal.set(true)
		_, err := s.Provider.Launch(s.Context(), r)
		s.wantKind("Launch of what is "+name, err, refusal.kind)
		if _, err := s.Provider.Offers(s.Context()); err != nil {
			s.Errorf("Offers while %s: %v", name, err)
		}
		refusal.set(false)
		if made := c.MachineCount(); made != before {
			s.Errorf("%s: got %d machines, want %d", name, made, before)
		}
	}
}
