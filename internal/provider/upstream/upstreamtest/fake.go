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
	// Mu guards all that the fake knows. It is held while a request is answered, and while the functions of a Config run.
	Mu sync.Mutex
	// Empty has the cloud sold out, Poor the account at its limit or without money, and Shut the credential refused. Mu guards them.
	NoCapacity, NoQuota, Revoked bool

	c       Config
	refusal *refusal
	booted  []*SSH
}

// Config is what one fake is.
type Config struct {
	// Account is the account that the cloud knows. Its BaseURL is the path of the API, "" or "/v1", and its times are the fake's.
	Account upstream.Account
	// Handler answers requests, one at a time.
	Handler http.Handler
	// Tick lets what time has brought happen: before each request and after Advance.
	Tick func()
	// Machines returns the ids of the machines that there are; whether one that is ending is there is the fake's to say.
	Machines func() []string
}

type refusal struct {
	status int
	body   string
}

// Serve starts the fake, which ends with the test, and its machines with it. Whatever Handler needs must be there before.
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

// Do runs what looks at or changes what the fake knows.
func (f *Fake) Do(what func()) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	what()
}

// Account is the account of an adapter that lives in the fake's time: its Sleep lets that pass.
func (f *Fake) Account() upstream.Account {
	a := f.c.Account
	a.BaseURL, a.Version, a.Now, a.PrivateAddresses = f.URL+a.BaseURL, "test", f.Clock.Now, true
	a.Sleep = func(ctx context.Context, d time.Duration) error {
		f.Advance(d)
		return ctx.Err()
	}
	return a
}

// Advance moves the cloud's clock on, and does what is due by then.
func (f *Fake) Advance(d time.Duration) {
	f.Server.Advance(d)
	f.Do(f.c.Tick)
}

// SoldOut takes all capacity away, or gives it back.
func (f *Fake) SoldOut(is bool) { f.Do(func() { f.NoCapacity = is }) }

// OverQuota has the account at its limit, or no more.
func (f *Fake) OverQuota(is bool) { f.Do(func() { f.NoQuota = is }) }

// Revoke has the credential refused, or taken again.
func (f *Fake) Revoke(is bool) { f.Do(func() { f.Revoked = is }) }

// MachineIDs returns the ids of the machines that there are.
func (f *Fake) MachineIDs() (ids []string) {
	f.Do(func() {
		f.c.Tick()
		ids = f.c.Machines()
	})
	return ids
}

// Made returns how many machines there are.
func (f *Fake) MachineCount() int { return len(f.MachineIDs()) }

// Open returns the adapter that build makes of the account.
func Open[P provider.Provider](t testing.TB, a upstream.Account, build func(upstream.Account) (P, error)) P {
	t.Helper()
	p, err := build(a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Harness is the fake as the conformance suite wants it, with the adapter that build makes of its account.
func Harness[P provider.Provider](t testing.TB, f *Fake, build func(upstream.Account) (P, error)) providertest.Harness {
	open := func() provider.Provider { return Open(t, f.Account(), build) }
	return providertest.Harness{
		Provider: open(), Reopen: open, Advance: f.Advance, Settle: f.Settle,
		Cloud: &providertest.Cloud{InjectFault: f.InjectFault, ClearFaults: f.ClearFaults, SoldOut: f.SoldOut, OverQuota: f.OverQuota, Revoke: f.Revoke, MachineCount: f.MachineCount},
	}
}

// Boot starts a machine's SSH, which ends with the test. user is who may log in, with any of the
// keys, which are lines of an authorized_keys file. hostKey is as of ListenSSH. Mu is held.
func (f *Fake) Boot(user string, keys []string, hostKey string) (*SSH, error) {
	s, err := ListenSSH(user, keys, hostKey)
	if err == nil {
		f.booted = append(f.booted, s)
	}
	return s, err
}

// BootAgain starts the SSH of a machine that was closed once more, at its address. Mu is held.
func (f *Fake) BootAgain(s *SSH) (*SSH, error) {
	again, err := s.again()
	if err == nil {
		f.booted = append(f.booted, again)
	}
	return again, err
}

// Port returns where the SSH of the machine at that address answers, or did last: 22, but for where the process may not take that; 0 for no machine.
// It is for clouds whose API has no port.
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

// RefuseNext has the next request for a machine answered with that status and body, and nothing made.
func (f *Fake) RefuseNext(status int, body string) {
	f.Do(func() { f.refusal = &refusal{status, body} })
}

// Refused answers what RefuseNext has said, where it has. Mu is held.
func (f *Fake) Refused(w http.ResponseWriter) bool {
	no := f.refusal
	if no == nil {
		return false
	}
	f.refusal = nil
	w.WriteHeader(no.status)
	_, _ = io.WriteString(w, no.body)
	return true
}

// Answer answers with a body of JSON.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Read reads a request's body of JSON strictly: a field that into does not have, or of another type, or anything after it, is an error.
func ReadJSON(r *http.Request, into any) error {
	if r.Header.Get("Content-Type") != "application/json" {
		return errors.New("the body is not application/json")
	}
	return DecodeStrict(io.LimitReader(r.Body, 2<<20), into)
}

// Strict reads one piece of JSON as Read does.
func DecodeStrict(from io.Reader, into any) error {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something comes after the body")
	}
	return nil
}
