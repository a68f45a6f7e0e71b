package providertest

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

// Cloud is the cloud behind the provider, where it is a fake that can be made to behave badly. Trouble and ClearFaults are required of one.
type Cloud struct {
	// Trouble has that trouble befall requests from now on.
	InjectFault func(Fault)
	// ClearFaults ends every trouble.
	ClearFaults func()
	// SoldOut takes all capacity away, or gives it back. Nil where the fake cannot.
	SoldOut func(bool)
	// OverQuota has the account at its limit. Nil where the fake cannot.
	OverQuota func(bool)
	// Revoke has the cloud refuse the account's credential.
	Revoke func(bool)
	// MachineCount returns how many machines the cloud has, whatever its API would say.
	MachineCount func() int
}

// Trouble is what befalls requests.
type Fault struct {
	Kind FaultKind
	// Writes has it befall only requests that change something.
	Writes bool
	// After is how many such requests are spared first.
	After int
	// Times is how many it befalls; 0 for all until ClearFaults.
	Times int
}

// FaultKind says what happens to a request.
type FaultKind string

// The kinds of trouble.
const (
	LostRequest           FaultKind = "lost request"     // the connection breaks before the cloud has read it
	LostResponse          FaultKind = "lost answer"      // the cloud acts, then the connection breaks
	BadGateway            FaultKind = "broken"           // 502 with a page of HTML; nothing happens
	BadGatewayAfterEffect FaultKind = "broken after"     // the cloud acts, then answers 502
	HTMLPage              FaultKind = "garbage"          // 200 with what is no answer; nothing happens
	Stalled               FaultKind = "slow"             // the answer begins and never ends
	Throttled             FaultKind = "throttled"        // 429 with Retry-After
	ThrottledWithoutDelay FaultKind = "throttled unsaid" // 429 without
)

// settle lets pass what an unanswered request may still do.
func (s *suite) settle() {
	if s.Settle != nil {
		s.Settle()
	}
	if d := s.Provider.Info().SettleTime; d > 0 {
		s.Advance(d)
	}
}

// persist asks until the provider has decided, as every room does: it waits where it is told to.
func (s *suite) persist(what string, ask func() error) {
	s.Helper()
	var err error
	for range 20 {
		if err = ask(); err == nil || provider.Decided(err) {
			break
		}
		s.settle()
		s.Advance(time.Minute)
	}
	s.must(what, err)
}

// cloud skips the test where the upstream cannot be made to behave badly.
func (s *suite) cloud() *Cloud {
	s.Helper()
	if s.Cloud == nil {
		s.Skip("the harness has no fake cloud")
	}
	s.Cleanup(s.Cloud.ClearFaults)
	return s.Cloud
}

// testTroubleLaunch launches while the cloud's answers are lost, broken, late or refused: one machine comes of it.
func testTroubleLaunch(s *suite) {
	c, o := s.cloud(), s.offer()
	for _, t := range []Fault{
		{Kind: LostRequest, Writes: true, Times: 1}, {Kind: LostResponse, Writes: true, Times: 1}, {Kind: LostResponse, Writes: true, Times: 3},
		{Kind: BadGateway, Writes: true, Times: 1}, {Kind: BadGatewayAfterEffect, Writes: true, Times: 1}, {Kind: HTMLPage, Writes: true, Times: 1},
		{Kind: Throttled, Writes: true, Times: 1}, {Kind: ThrottledWithoutDelay, Writes: true, Times: 1},
		{Kind: LostResponse, Writes: true, After: 1, Times: 1}, {Kind: BadGatewayAfterEffect, Writes: true, After: 1, Times: 1},
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
			s.Fatalf("the cloud has %d machines, had %d before one was launched", made, before)
		}
		s.must("Terminate", s.end(s.Context(), r.Reference))
		s.untilGone(s.Context(), r.Reference)
	}
}

// testTroubleLooking looks while the cloud says nothing of use: nobody is told that a machine is gone.
func testTroubleLooking(s *suite) {
	c, r := s.cloud(), s.request(s.offer())
	m := s.launch(r)
	s.ready(r.Reference)
	for _, kind := range []FaultKind{LostRequest, LostResponse, BadGateway, HTMLPage, Throttled, ThrottledWithoutDelay, Stalled} {
		s.Advance(10 * time.Minute) // what was remembered is old by then
		c.InjectFault(Fault{Kind: kind})
		ctx, cancel := s.Context(), context.CancelFunc(func() {})
		if kind == Stalled {
			ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
		}
		for what, ask := range map[string]func() error{
			"Machine":  func() error { _, err := s.Provider.Machine(ctx, r.Reference); return err },
			"Machines": func() error { _, err := s.Provider.Machines(ctx); return err },
			"Offers":   func() error { _, err := s.Provider.Offers(ctx); return err },
		} {
			s.wantKind(what+" with answers "+string(kind), ask(), provider.KindUnavailable, provider.KindThrottled)
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

// testRevoked has the cloud refuse the credential: that says nothing about any machine.
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
		s.Errorf("the cloud has %d machines, had %d before the credential was refused", made, before)
	}
}

// testSoldOut launches what is gone between the list and the launch.
func testSoldOut(s *suite) {
	c, o := s.cloud(), s.offer()
	for name, no := range map[string]struct {
		set  func(bool)
		kind provider.Kind
	}{"sold out": {c.SoldOut, provider.KindNoCapacity}, "over quota": {c.OverQuota, provider.KindQuota}} {
		if no.set == nil {
			continue
		}
		r, before := s.request(o), c.MachineCount()
		s.Advance(time.Minute) // some clouds take a launch only so often, and count what they refuse
		no.set(true)
		_, err := s.Provider.Launch(s.Context(), r)
		s.wantKind("Launch of what is "+name, err, no.kind)
		if _, err := s.Provider.Offers(s.Context()); err != nil {
			s.Errorf("Offers while %s: %v", name, err)
		}
		no.set(false)
		if made := c.MachineCount(); made != before {
			s.Errorf("%s, and the cloud has %d machines, had %d", name, made, before)
		}
	}
}
