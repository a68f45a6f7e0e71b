package providertest

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"golang.org/x/crypto/ssh"
)

// NewKey makes an SSH key: what signs with it, and its line of an authorized_keys file.
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

// WantKind returns err, which must be of that kind; what says what went before. It ends the test where it is not.
func WantKind(t testing.TB, what string, err error, want provider.Kind) *provider.Error {
	t.Helper()
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != want {
		t.Fatalf("%s: %v, want %s", what, err, want)
	}
	return e
}

// WantMachine returns the machine of that reference, which must be in that state. It ends the test where it is not.
func WantMachine(t testing.TB, p provider.Provider, reference id.ID, want provider.MachineState) provider.Machine {
	t.Helper()
	m, err := p.Machine(t.Context(), reference)
	if err != nil || m.State != want {
		t.Fatalf("%+v, %v; want it %s", m, err, want)
	}
	return m
}
