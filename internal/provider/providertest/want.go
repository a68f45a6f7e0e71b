package providertest

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"golang.org/x/crypto/ssh"
)

// NewKey returns a new SSH key: its signer, and its line of an authorized_keys file.
func NewKey(t testing.TB) (signer ssh.Signer, line string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if signer, err = ssh.NewSignerFromKey(private); err != nil {
		t.Fatal(err)
	}
	return signer, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// WantKind fails the test unless err is of that kind, and returns it. what names the call.
func WantKind(t testing.TB, what string, err error, want provider.Kind) *provider.Error {
	t.Helper()
	e, is := errors.AsType[*provider.Error](err)
	if !is || e.Kind != want {
		t.Fatalf("%s: got %v, want %s", what, err, want)
	}
	return e
}

// WantMachine fails the test unless the machine of that reference is in that state, and returns it.
func WantMachine(t testing.TB, p provider.Provider, reference id.ID, want provider.MachineState) provider.Machine {
	t.Helper()
	m, err := p.Machine(t.Context(), reference)
	if err != nil || m.State != want {
		t.Fatalf("got %+v, %v, want the state %s", m, err, want)
	}
	return m
}

// Launch launches a machine. It fails the test where that fails.
func Launch(t testing.TB, p provider.Provider, r provider.LaunchRequest) provider.Machine {
	t.Helper()
	m, err := p.Launch(t.Context(), r)
	if err != nil {
		t.Fatalf("Launch: %v", err)
	}
	return m
}

// Poll reads for that long what a server reads: each machine as often as Info states, the lists of
// machines and volumes every minute, and the offers as often as Info states. It is for tests that
// count requests.
func Poll(
	t testing.TB, p provider.Provider, references []id.ID, d time.Duration, advance func(d time.Duration),
) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	info := p.Info()
	var sinceLists, sinceOffers time.Duration
	for passed := time.Duration(0); passed < d; passed += info.PollEvery {
		for _, reference := range references {
			_, err := p.Machine(t.Context(), reference)
			must(err)
		}
		if sinceLists += info.PollEvery; sinceLists >= time.Minute {
			sinceLists = 0
			_, err := p.Machines(t.Context())
			must(err)
			if v, ok := p.(provider.VolumeProvider); ok {
				_, err := v.Volumes(t.Context())
				must(err)
			}
		}
		if sinceOffers += info.PollEvery; sinceOffers >= info.SyncEvery {
			sinceOffers = 0
			_, err := p.Offers(t.Context())
			must(err)
			if v, ok := p.(provider.VolumeProvider); ok {
				_, err := v.VolumePricing(t.Context())
				must(err)
			}
		}
		advance(info.PollEvery)
	}
}
