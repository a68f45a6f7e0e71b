package providertest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"golang.org/x/crypto/ssh"
)

// Harness is a provider to test, and what the suite needs around it. Provider and Advance are
// required.
type Harness struct {
	Provider provider.Provider
	// Advance lets d pass at the provider: it advances the simulated clock, or waits.
	Advance func(d time.Duration)
	// Reopen returns the provider as a restarted server has it: a new value that shares only the
	// upstream with the previous one, which is not used again. Nil where that is not possible.
	Reopen func() provider.Provider
	// Settle waits until the upstream has processed all requests so far. Nil where it does so at
	// once.
	Settle func()
	// Cloud is the fake behind an adapter; nil leaves out what needs one.
	Cloud *Cloud
	// Port returns the real SSH port of the machine at that address; 0 for the port that the
	// machine states. It is for fakes of clouds that state no port. Nil where machines state
	// theirs.
	Port func(address string) int
	// OfferKey and Region name the offer to launch; empty for the cheapest one that is available.
	OfferKey, Region string
	// AuthorizedKey is the line of the key that machines are launched with; empty for a new one.
	AuthorizedKey string
	// WriteFile and ReadFile access a file in a machine that is ready. Nil where that is not
	// possible; checks of files are then skipped.
	WriteFile func(m provider.Machine, path, text string) error
	ReadFile  func(m provider.Machine, path string) (string, error)
}

// Run tests a provider, each test with a harness of its own. A test ends what it launched and
// created, also when it fails.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"Info", testInfo},
		{"Offers", testOffers},
		{"CapabilitiesMatchInterfaces", testCapabilities},
		{"LaunchBecomesReady", testLaunchBecomesReady},
		{"LaunchAgain", testLaunchAgain},
		{"LaunchInParallel", testLaunchInParallel},
		{"LaunchWithLostResponse", testLaunchLostResponse},
		{"LaunchRefusals", testLaunchRefused},
		{"UnknownReferences", testUnknownReferences},
		{"Terminate", testTerminate},
		{"TerminateBeforeReady", testTerminateBeforeReady},
		{"TwoMachines", testTwoMachines},
		{"Restart", testRestart},
		{"Reboot", testReboot},
		{"Power", testPower},
		{"Rescue", testRescue},
		{"Reinstall", testReinstall},
		{"CustomImages", testCustomImages},
		{"HostKey", testHostKey},
		{"ClusterNodes", testCluster},
		{"VolumeLife", testVolumeLife},
		{"VolumeCreateAgain", testVolumeCreateAgain},
		{"TwoVolumes", testTwoVolumes},
		{"VolumeRefusals", testVolumeRefusals},
		{"VolumeAttachment", testVolumeAttachment},
		{"VolumeOutlivesItsMachine", testVolumeOutlivesItsMachine},
		{"FaultsWhileLaunching", testFaultsLaunch},
		{"FaultsWhileReading", testFaultsReading},
		{"RevokedCredential", testRevoked},
		{"SoldOutAndOverQuota", testSoldOut},
		{"InsideTransaction", testInsideTx},
		{"EndedContext", testEndedContext},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			if h.Provider == nil || h.Advance == nil {
				t.Fatal("Harness needs Provider and Advance")
			}
			if h.AuthorizedKey == "" {
				_, h.AuthorizedKey = NewKey(t)
			}
			c.test(&suite{T: t, Harness: h, ids: id.NewMaker(clock.System{}, rand.Reader)})
		})
	}
}

// suite is the harness of one test, and what its steps share.
type suite struct {
	*testing.T
	Harness
	ids *id.Maker
}

// step is how much time passes at the provider between two checks.
const step = time.Second

// volumeLimit is how long a volume may take for anything.
const volumeLimit = 5 * time.Minute

// until repeats check, letting time pass between, until it returns true. It fails the test after
// limit.
func (s *suite) until(what string, limit time.Duration, check func() (bool, string)) {
	s.Helper()
	for passed := time.Duration(0); ; passed += step {
		done, seen := check()
		if done {
			return
		}
		if passed > limit {
			s.Fatalf("got %s after %s, want %s", seen, limit, what)
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
		several := o.Stock == nil || *o.Stock > 1 // some tests launch two
		if o.Available && several && (best == nil || o.HourlyPrice < best.HourlyPrice) {
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
	for range 20 { // retry as Billet does
		e, is := errors.AsType[*provider.Error](err)
		if !is || e.Kind != provider.KindThrottled || e.RetryAfter <= 0 {
			break
		}
		s.Advance(e.RetryAfter)
		m, err = s.Provider.Launch(s.Context(), r)
	}
	if err != nil {
		s.Fatalf("Launch: %v", err)
	}
	if m.ID == "" || m.Reference != r.Reference {
		s.Fatalf("Launch of %s returned %+v", r.Reference, m)
	}
	return m
}

// end requests the machine's end. Before a minimum runtime it waits for as long as the provider
// states, and retries.
func (s *suite) end(ctx context.Context, reference id.ID) error {
	err := s.Provider.Terminate(ctx, reference)
	tooEarly := s.Provider.Info().MinimumRuntime > 0 && provider.IsKind(err, provider.KindRejected)
	if e, is := errors.AsType[*provider.Error](err); is && tooEarly && e.RetryAfter > 0 {
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
		s.Fatalf("Machine(%s) returned that of %q", reference, m.Reference)
	}
	return m
}

// ready waits until the machine is ready and SSH answers on it.
func (s *suite) ready(reference id.ID) provider.Machine {
	s.Helper()
	return s.reach(reference, provider.MachineReady)
}

// reach waits until the machine is in that state, and checks the fields of the state.
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
		s.checkReady(m)
	}
	return m
}

// checkReady checks the fields of a machine that is ready, and waits until SSH answers.
func (s *suite) checkReady(m provider.Machine) {
	s.Helper()
	if net.ParseIP(m.Address) == nil || !m.Reachable() {
		s.Fatalf("the machine is ready without an address, user and port: %+v", m)
	}
	for _, line := range m.SSHHostKeys {
		if _, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line)); err != nil || len(rest) > 0 {
			s.Errorf("host key %q is not one line of a type and a key: %v", line, err)
		}
	}
	s.until("an SSH answer", s.Provider.Info().LaunchLimit, func() (bool, string) {
		_, err := s.probe(m.Address, m.SSHPort, false)
		return err == nil, fmt.Sprint(err)
	})
}

// probe calls ProbeSSH with the real port of that address.
func (s *suite) probe(address string, port int, wantKey bool) (hostKey string, err error) {
	if s.Port != nil {
		port = cmp.Or(s.Port(address), port)
	}
	at := provider.Endpoint{Address: net.JoinHostPort(address, fmt.Sprint(port)), Private: true, WantKey: wantKey}
	return provider.ProbeSSH(s.Context(), at)
}

// closed checks that no SSH server answers at the address.
func (s *suite) closed(address string, port int) {
	s.Helper()
	if _, err := s.probe(address, port, false); err == nil {
		s.Errorf("SSH still answers at %s", net.JoinHostPort(address, fmt.Sprint(port)))
	}
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

// oneMachine fails the test unless the provider lists exactly one machine of that reference, with
// that id.
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
	e, is := errors.AsType[*provider.Error](err)
	if !is {
		s.Errorf("%s: %v is not a *provider.Error", what, err)
		return
	}
	if !slices.Contains(kinds, e.Kind) {
		s.Errorf("%s: got %v, want %v", what, err, kinds)
	}
}

func (s *suite) must(what string, err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}
