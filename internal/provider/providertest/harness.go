package providertest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"golang.org/x/crypto/ssh"
)

// Harness is one provider to be examined, and what the suite must be able to do around it. Provider and Advance are
// required.
type Harness struct {
	Provider provider.Provider
	// Advance lets d pass at the provider: it moves the simulated clock, or waits.
	Advance func(d time.Duration)
	// Reopen returns the provider as a server that was restarted would have it: a new value that shares nothing with
	// the one before but the upstream. The one before is not used again. Nil where that is not possible.
	Reopen func() provider.Provider
	// Settle waits until the upstream has done all that it was asked so far, answered or not. Nil where it does so at once.
	Settle func()
	// Cloud is the fake behind an adapter; nil leaves out what needs one.
	Cloud *Cloud
	// Port returns where the SSH of the machine at that address really answers, for a cloud that does not say so; 0 is where the machine
	// says. It is for fakes that may not listen at port 22. Nil where machines answer where they say.
	Port func(address string) int
	// OfferKey and Region name the offer to launch; empty for the cheapest that can be had.
	OfferKey, Region string
	// AuthorizedKey is the line of the key that machines are launched with; empty for one that nobody has.
	AuthorizedKey string
	// WriteFile and ReadFile reach a file in a machine that is ready. Nil where the machines have no files to be seen;
	// what they would show is then left out.
	WriteFile func(m provider.Machine, path, text string) error
	ReadFile  func(m provider.Machine, path string) (string, error)
}

// Run examines a provider, each test with a harness of its own. What a test launched and created it ends again, also
// when it fails.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"Info", testInfo},
		{"Offers", testOffers},
		{"AbilitiesAgreeWithInterfaces", testAbilities},
		{"LaunchBecomesReady", testLaunchBecomesReady},
		{"LaunchAgainIsTheSameMachine", testLaunchAgain},
		{"LaunchInParallelIsOneMachine", testLaunchInParallel},
		{"LaunchWithLostAnswerIsOneMachine", testLaunchLostAnswer},
		{"LaunchOfWhatIsNotSold", testLaunchRefused},
		{"UnknownReferences", testUnknownReferences},
		{"Terminate", testTerminate},
		{"TerminateBeforeReady", testTerminateBeforeReady},
		{"MachinesOfSeveral", testMachinesOfSeveral},
		{"Restart", testRestart},
		{"Reboot", testReboot},
		{"Power", testPower},
		{"Reinstall", testReinstall},
		{"HostKeyOfTheLaunch", testHostKey},
		{"EveryNodeOfACluster", testCluster},
		{"VolumeLife", testVolumeLife},
		{"VolumeCreateAgainIsTheSameVolume", testVolumeCreateAgain},
		{"VolumesOfSeveral", testVolumesOfSeveral},
		{"VolumeRefusals", testVolumeRefusals},
		{"VolumeAttachment", testVolumeAttachment},
		{"VolumeOutlivesItsMachine", testVolumeOutlivesItsMachine},
		{"TroubleWhileLaunching", testTroubleLaunch},
		{"TroubleWhileLooking", testTroubleLooking},
		{"CredentialRevoked", testRevoked},
		{"SoldOutAndOverQuota", testSoldOut},
		{"RefusesInsideATransaction", testInsideTx},
		{"EndedContext", testEndedContext},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			if h.Provider == nil || h.Advance == nil {
				t.Fatal("a harness needs Provider and Advance")
			}
			if h.AuthorizedKey == "" {
				_, h.AuthorizedKey = NewKey(t)
			}
			c.test(&suite{T: t, Harness: h, ids: id.NewMaker(clock.System{}, rand.Reader)})
		})
	}
}

// suite is one test's harness and what its steps share.
type suite struct {
	*testing.T
	Harness
	ids *id.Maker
}

// step is the most that passes at the provider between two looks.
const step = time.Second

// volumeLimit is how long a volume may take for anything.
const volumeLimit = 5 * time.Minute

// until looks again and again, letting time pass between, until look says yes; it fails the test after limit.
func (s *suite) until(what string, limit time.Duration, look func() (bool, string)) {
	s.Helper()
	for passed := time.Duration(0); ; passed += step {
		done, seen := look()
		if done {
			return
		}
		if passed > limit {
			s.Fatalf("not %s after %s; last: %s", what, limit, seen)
		}
		s.Advance(step)
	}
}

// offer returns the offer to launch.
func (s *suite) offer() provider.Offer {
	s.Helper()
	offers, err := s.Provider.Offers(s.Context())
	if err != nil {
		s.Fatalf("Offers: %v", err)
	}
	var best *provider.Offer
	for i, o := range offers {
		if s.OfferKey != "" {
			if o.Key == s.OfferKey && o.Region == s.Region {
				return o
			}
			continue
		}
		// Several tests launch two.
		if o.Available && (o.Stock == nil || *o.Stock > 1) && (best == nil || o.HourlyPrice < best.HourlyPrice) {
			best = &offers[i]
		}
	}
	if best == nil {
		s.Fatal("no offer to launch")
	}
	return *best
}

// request returns a launch request with a new reference, whose machine is ended with the test.
func (s *suite) request(o provider.Offer) provider.LaunchRequest {
	r := provider.LaunchRequest{
		Reference: s.ids.New(id.Deployment), Name: "conformance", OfferKey: o.Key, Region: o.Region,
		OperatingSystem: o.OperatingSystems[0], AuthorizedKeys: []string{s.AuthorizedKey},
	}
	s.Cleanup(func() {
		if err := s.end(context.Background(), r.Reference); err != nil {
			s.Errorf("clean up: terminate %s: %v", r.Reference, err)
			return
		}
		s.untilGone(context.Background(), r.Reference)
	})
	return r
}

func (s *suite) launch(r provider.LaunchRequest) provider.Machine {
	s.Helper()
	m, err := s.Provider.Launch(s.Context(), r)
	for range 20 { // as every room does
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != provider.KindThrottled || e.RetryAfter <= 0 {
			break
		}
		s.Advance(e.RetryAfter)
		m, err = s.Provider.Launch(s.Context(), r)
	}
	if err != nil {
		s.Fatalf("Launch: %v", err)
	}
	if m.ID == "" || m.Reference != r.Reference {
		s.Fatalf("Launch of %s answered %+v", r.Reference, m)
	}
	return m
}

// end asks for the machine's end. A provider with a minimum runtime says how long to wait, and is asked again then.
func (s *suite) end(ctx context.Context, reference id.ID) error {
	err := s.Provider.Terminate(ctx, reference)
	if e := (*provider.Error)(nil); s.Provider.Info().MinimumRuntime > 0 && errors.As(err, &e) && e.Kind == provider.KindRejected && e.RetryAfter > 0 {
		s.Advance(e.RetryAfter)
		err = s.Provider.Terminate(ctx, reference)
	}
	return err
}

func (s *suite) machine(reference id.ID) provider.Machine {
	s.Helper()
	m, err := s.Provider.Machine(s.Context(), reference)
	if err != nil {
		s.Fatalf("Machine: %v", err)
	}
	if m.Reference != reference {
		s.Fatalf("Machine(%s) answered that of %q", reference, m.Reference)
	}
	return m
}

// ready waits until the machine is ready and SSH answers on it.
func (s *suite) ready(reference id.ID) provider.Machine {
	s.Helper()
	return s.reach(reference, provider.MachineReady)
}

// reach waits until the machine is in that state, and checks what belongs to the state.
func (s *suite) reach(reference id.ID, want provider.MachineState) provider.Machine {
	s.Helper()
	var m provider.Machine
	s.until(string(want), s.Provider.Info().LaunchLimit, func() (bool, string) {
		m = s.machine(reference)
		switch m.State {
		case want:
		case provider.MachineFailed, provider.MachineLost, provider.MachineTerminating, provider.MachineGone:
			s.Fatalf("machine %s is %s (%s), want %s", reference, m.State, m.Detail, want)
		case provider.MachineProvisioning, provider.MachineReady, provider.MachineOff:
		default:
			s.Fatalf("machine %s has the unknown state %q", reference, m.State)
		}
		return m.State == want, fmt.Sprintf("%s (%s)", m.State, m.Detail)
	})
	if want == provider.MachineReady {
		if net.ParseIP(m.Address) == nil || m.SSHUser == "" || m.SSHPort < 1 || m.SSHPort > 65535 {
			s.Fatalf("machine is ready without where to reach it: %+v", m)
		}
		for _, line := range m.SSHHostKeys {
			if _, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line)); err != nil || len(rest) > 0 {
				s.Errorf("host key %q is not one line of a type and a key: %v", line, err)
			}
		}
		s.until("answering SSH", s.Provider.Info().LaunchLimit, func() (bool, string) {
			err := s.greeted(s.Context(), m)
			return err == nil, fmt.Sprint(err)
		})
	}
	return m
}

// greeted tells whether an SSH server greets at the machine's address.
func (s *suite) greeted(ctx context.Context, m provider.Machine) error {
	port := m.SSHPort
	if s.Port != nil {
		port = cmp.Or(s.Port(m.Address), port)
	}
	_, err := provider.ProbeSSH(ctx, provider.Endpoint{Address: net.JoinHostPort(m.Address, fmt.Sprint(port)), Private: true})
	return err
}

// untilGone waits until the machine is neither found nor listed.
func (s *suite) untilGone(ctx context.Context, reference id.ID) {
	s.Helper()
	s.until("gone", s.Provider.Info().LaunchLimit, func() (bool, string) {
		m, err := s.Provider.Machine(ctx, reference)
		if err != nil && provider.KindOf(err) != provider.KindNotFound {
			return false, err.Error()
		}
		if err == nil && m.State != provider.MachineGone {
			return false, string(m.State)
		}
		listed := s.listed(ctx, reference)
		return len(listed) == 0, fmt.Sprintf("still listed: %+v", listed)
	})
}

// listed returns the machines of that reference in the provider's list.
func (s *suite) listed(ctx context.Context, reference id.ID) []provider.Machine {
	s.Helper()
	all, err := s.Provider.Machines(ctx)
	if err != nil {
		s.Fatalf("Machines: %v", err)
	}
	var ours []provider.Machine
	for _, m := range all {
		if m.State == provider.MachineGone {
			s.Errorf("Machines lists %s, which is gone", m.ID)
		}
		if m.Reference == reference {
			ours = append(ours, m)
		}
	}
	return ours
}

// oneMachine fails the test unless the provider lists exactly one machine of that reference, with that id.
func (s *suite) oneMachine(reference id.ID, machine string) {
	s.Helper()
	if all := s.listed(s.Context(), reference); len(all) != 1 || all[0].ID != machine {
		s.Fatalf("Machines lists %+v for %s, want exactly %s", all, reference, machine)
	}
}

// wantKind fails the test unless the error is one of those kinds.
func (s *suite) wantKind(what string, err error, kinds ...provider.Kind) {
	s.Helper()
	if err == nil {
		s.Errorf("%s succeeded, want %v", what, kinds)
		return
	}
	var said *provider.Error
	if !errors.As(err, &said) {
		s.Errorf("%s: %v is not a *provider.Error", what, err)
		return
	}
	for _, k := range kinds {
		if said.Kind == k {
			return
		}
	}
	s.Errorf("%s: %v, want %v", what, err, kinds)
}

func (s *suite) must(what string, err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}
