package upstreamtest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// Fake is what the fakes of clouds have in common. A fake embeds it and starts it with Serve.
type Fake struct {
	*Server
	// Mu guards the fake's state. It is held while a request is answered, and while the functions
	// of a Config run.
	Mu sync.Mutex
	// NoCapacity means that the cloud is sold out, NoQuota that the account is at its limit or out
	// of money, and Revoked that the credential is refused. Mu guards them.
	NoCapacity, NoQuota, Revoked bool
	// Delay is how long new machines stay hidden. Mu guards it.
	Delay time.Duration

	c       Config
	refusal *refusal
	booted  []*SSH
}

// Config describes one fake.
type Config struct {
	// Account is the account at the cloud. Its BaseURL is the path of the API, "" or "/v1".
	Account upstream.Account
	// Handler answers requests, one at a time.
	Handler http.Handler
	// Tick does what is due: before each request and after Advance.
	Tick func()
	// Machines returns the ids of the machines that exist. The fake decides whether one that is
	// ending does.
	Machines func() []string
}

type refusal struct {
	status int
	body   string
}

// Serve starts the fake, which ends with the test, and its machines with it.
func (f *Fake) Serve(t testing.TB, c Config) {
	t.Helper()
	f.c = c
	f.Server = Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.Do(func() {
			c.Tick()
			c.Handler.ServeHTTP(w, r)
		})
	}))
	t.Cleanup(func() {
		f.Do(func() {
			for _, s := range f.booted {
				s.Close()
			}
		})
	})
}

// Do calls f with Mu held.
func (f *Fake) Do(access func()) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	access()
}

// Account returns the account for an adapter. It uses the fake's clock, which its Sleep advances.
func (f *Fake) Account() upstream.Account {
	a := f.c.Account
	a.BaseURL, a.Version, a.PrivateAddresses = f.URL+a.BaseURL, "test", true
	a.Now, a.Sleep = f.Clock.Now, func(ctx context.Context, d time.Duration) error {
		f.Advance(d)
		return ctx.Err()
	}
	return a
}

// Advance advances the cloud's clock, and does what is due by then.
func (f *Fake) Advance(d time.Duration) {
	f.Server.Advance(d)
	f.Do(f.c.Tick)
}

// SoldOut removes all capacity, or restores it.
func (f *Fake) SoldOut(on bool) { f.Do(func() { f.NoCapacity = on }) }

// OverQuota puts the account at its limit, or not.
func (f *Fake) OverQuota(on bool) { f.Do(func() { f.NoQuota = on }) }

// Revoke makes the cloud refuse the credential, or accept it again.
func (f *Fake) Revoke(on bool) { f.Do(func() { f.Revoked = on }) }

// Lag hides new machines for that long, on lists and by id.
func (f *Fake) Lag(d time.Duration) { f.Do(func() { f.Delay = d }) }

// Hidden reports whether a machine created then is hidden. Mu is held.
func (f *Fake) Hidden(created time.Time) bool { return f.Clock.Now().Sub(created) < f.Delay }

// MachineIDs returns the ids of the machines that exist.
func (f *Fake) MachineIDs() (ids []string) {
	f.Do(func() {
		f.c.Tick()
		ids = f.c.Machines()
	})
	return ids
}

// MachineCount returns how many machines exist.
func (f *Fake) MachineCount() int { return len(f.MachineIDs()) }

// Open returns the adapter that build returns for the account.
func Open[P provider.Provider](t testing.TB, a upstream.Account, build func(upstream.Account) (P, error)) P {
	t.Helper()
	p, err := build(a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Harness returns the fake and the adapter that build returns for its account, for the conformance
// suite.
func Harness[P provider.Provider](t testing.TB, f *Fake, build func(upstream.Account) (P, error)) providertest.Harness {
	open := func() provider.Provider { return Open(t, f.Account(), build) }
	return providertest.Harness{
		Provider: open(), Reopen: open, Advance: f.Advance, Settle: f.Settle,
		Cloud: &providertest.Cloud{
			InjectFault: f.InjectFault, ClearFaults: f.ClearFaults, MachineCount: f.MachineCount,
			SoldOut: f.SoldOut, OverQuota: f.OverQuota, Revoke: f.Revoke,
		},
	}
}

// Boot starts a machine's SSH server, which ends with the test. The parameters are those of
// ListenSSH. Mu is held.
func (f *Fake) Boot(user string, keys []string, hostKey string) (*SSH, error) {
	s, err := ListenSSH(user, keys, hostKey)
	if err == nil {
		f.booted = append(f.booted, s)
	}
	return s, err
}

// BootAgain restarts a machine's closed SSH server at its address. Mu is held.
func (f *Fake) BootAgain(s *SSH) (*SSH, error) {
	restarted, err := s.restart()
	if err == nil {
		f.booted = append(f.booted, restarted)
	}
	return restarted, err
}

// Port returns the port of SSH at a machine's address: 22, or another one where the process may not
// listen there; 0 for no machine. It is for clouds whose API has no port.
func (f *Fake) Port(address string) (port int) {
	f.Do(func() {
		for _, s := range f.booted {
			if s.Address == address {
				port = s.Port
			}
		}
	})
	return port
}

// RefuseNext answers the next request for a machine with that status and body, and creates nothing.
func (f *Fake) RefuseNext(status int, body string) {
	f.Do(func() { f.refusal = &refusal{status, body} })
}

// Refused writes the response of RefuseNext, and reports whether there was one. Mu is held.
func (f *Fake) Refused(w http.ResponseWriter) bool {
	r := f.refusal
	if r == nil {
		return false
	}
	f.refusal = nil
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.body)
	return true
}

// WriteJSON writes a response with a JSON body.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// ReadJSON decodes a request's JSON body. An unknown field, a wrong type or trailing data is an
// error.
func ReadJSON(r *http.Request, into any) error {
	if r.Header.Get("Content-Type") != "application/json" {
		return errors.New("the body is not application/json")
	}
	return DecodeStrict(io.LimitReader(r.Body, 2<<20), into)
}

// DecodeStrict decodes JSON as ReadJSON does.
func DecodeStrict(from io.Reader, into any) error {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is data after the body")
	}
	return nil
}
