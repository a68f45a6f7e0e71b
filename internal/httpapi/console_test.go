package httpapi

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/coder/websocket"
)

// onConsole has the consoles of all machines be that listener.
func (w *world) onConsole(m *machine) {
	w.cloud.consoles = func() (io.ReadWriteCloser, error) { return net.Dial("tcp", m.Addr().String()) }
}

func consolePath(d id.ID) string { return "/deployments/" + string(d) + "/console" }

// audited compares the actions on a deployment in the log, newest first, with their details.
func (w *world) audited(d id.ID, want ...string) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		var got []string
		page, _, err := w.c.Audit.List(w.t.Context(), w.d, w.ada.account, audit.Filter{Subject: d},
			db.Page{Number: 1, Limit: 100})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range page {
			if strings.Contains(e.Action, "Console") {
				got = append(got, strings.TrimSpace(e.Action+" "+e.Actor.Name+" "+e.Detail))
			}
		}
		// An end is written after the client has learned of it.
		if strings.Join(got, "|") == strings.Join(want, "|") {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the audit log has %q, want %q", got, want)
		}
	}
}

func TestConsole(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	m := newMachine(t, "login: ")
	w.onConsole(m)
	d := w.running(w.ada)
	ws, status, text := socketOf(t, site, w.ada, consolePath(d))
	if ws == nil {
		t.Fatalf("%d %s", status, text)
	}
	hear(t, ws, "login: ")
	say(t, ws, "root\n")
	hear(t, ws, "you said root\n")
	if _, status, text := socketOf(t, site, w.ada, consolePath(d)); status != 409 ||
		!strings.Contains(text, "takeOver") {
		t.Errorf("a second console: %d %s", status, text)
	}
	// A page asks why, without a WebSocket.
	w.want(409, w.ada, "GET", Base+consolePath(d), nil)
	next, status, text := socketOf(t, site, w.ada, consolePath(d)+"?takeOver=true")
	if next == nil {
		t.Fatalf("%d %s", status, text)
	}
	if code, reason := closes(t, ws); code != websocket.StatusNormalClosure || !strings.Contains(reason, "elsewhere") {
		t.Errorf("the first console: %d %s", code, reason)
	}
	hear(t, next, "login: ")
	if err := next.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	name := w.ada.key.Name
	w.audited(d, "closeConsole "+name+" Open for 0s; closed by the user.", "openConsole "+name,
		"closeConsole "+name+" Open for 0s; taken over.", "openConsole "+name)
	w.cloud.consoles = func() (io.ReadWriteCloser, error) {
		return nil, &provider.Error{Kind: provider.KindUnavailable, Cause: errors.New("no route")}
	}
	if _, status, text := socketOf(t, site, w.ada, consolePath(d)); status != 503 || strings.Contains(text, "route") {
		t.Errorf("a console that does not answer: %d %s", status, text)
	}
	if r := w.want(400, w.ada, "GET", Base+consolePath(d), nil); r.fields()[0] != "header.Upgrade" {
		t.Errorf("why a console that does not answer is refused: %v", r)
	}
	w.onConsole(m) // no session has it now
	if ws, status, text := socketOf(t, site, w.ada, consolePath(d)); ws == nil {
		t.Errorf("after one that did not answer: %d %s", status, text)
	}
}

func TestAConsoleIsRefused(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	m := newMachine(t, "login: ")
	w.onConsole(m)
	d, pending := w.running(w.ada), w.deploy(w.ada)
	body := w.seedBody()
	body["offerId"], body["gpuType"], body["gpuCount"] = "off_plain", "NVIDIA H100", 1
	plain := id.ID(w.want(201, w.ada, "POST", Base+"/deployments", body).text("id"))
	w.settle(plain)
	cookie := w.signIn(w.ada)
	for _, c := range []struct {
		what    string
		who     tenant
		d       id.ID
		status  int
		code    string
		headers []string
	}{
		{"no caller", tenant{}, d, 401, "MISSING_API_KEY", nil},
		{"another account", w.bob, d, 404, "NOT_FOUND", nil},
		{"a key that may only read", w.keyWith(w.ada, account.ReadDeployments), d, 403, "INSUFFICIENT_SCOPE", nil},
		{"not sent to the provider yet", w.ada, pending, 409, "CONFLICT", nil},
		{"an offer without consoles", w.ada, plain, 400, "UNSUPPORTED_BY_PROVIDER", nil},
		{"another site's page", tenant{}, d, 403, "NETWORK_NOT_ALLOWED",
			[]string{"Cookie", cookie, "Origin", "https://evil.example"}},
		{"our own page", tenant{}, d, 101, "", []string{"Cookie", cookie, "Origin", site.URL}},
	} {
		_, status, text := socketOf(t, site, c.who, consolePath(c.d), c.headers...)
		if status != c.status || !strings.Contains(text, c.code) {
			t.Errorf("%s: %d %s, want %d %s", c.what, status, text, c.status, c.code)
		}
	}
	w.cloud.mu.Lock()
	w.cloud.busy = true
	w.cloud.mu.Unlock()
	if _, status, text := socketOf(t, site, w.ada, consolePath(d)); status != 409 ||
		!strings.Contains(text, "installed") {
		t.Errorf("while it is installed: %d %s", status, text)
	}
	same(t, "connections to the console", m.connections(), 1)
}

// A backup may name a tenant who has left since.
func TestNoConsoleIsOpenDuringARecovery(t *testing.T) {
	w := newWorld(t)
	recovering := atomic.Bool{}
	w.configure(func(c *Config) { c.Recovering = recovering.Load })
	site := w.live()
	m := newMachine(t, "login: ")
	w.onConsole(m)
	d := w.running(w.ada)
	ws, status, text := socketOf(t, site, w.ada, consolePath(d))
	if ws == nil {
		t.Fatalf("%d %s", status, text)
	}
	recovering.Store(true)
	closes(t, ws)
	if _, status, text := socketOf(t, site, w.ada, consolePath(d)); status != 503 || !strings.Contains(text, "backup") {
		t.Errorf("during a recovery: %d %s", status, text)
	}
}

// A tenant who has left is cut off at once, and so is a key or session that is no longer valid.
func TestAConsoleEnds(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	w.onConsole(newMachine(t, "login: "))
	open := func(who tenant, d id.ID, headers ...string) *websocket.Conn {
		t.Helper()
		ws, status, text := socketOf(t, site, who, consolePath(d), headers...)
		if ws == nil {
			t.Fatalf("%d %s", status, text)
		}
		hear(t, ws, "login: ")
		return ws
	}
	ended := func(what string, ws *websocket.Conn, words string) {
		t.Helper()
		if _, reason := closes(t, ws); !strings.Contains(reason, words) {
			t.Errorf("%s: %s", what, reason)
		}
	}
	d := w.running(w.ada)
	cookie := w.signIn(w.ada)
	ws := open(tenant{}, d, "Cookie", cookie)
	w.want(200, tenant{}, "DELETE", AccountBase+"/sessions", nil, header("Cookie", cookie),
		header("Sec-Fetch-Site", "same-origin"))
	ended("with its session", ws, "key or session")
	// The provider has given the machine to another tenant, which the deployment does not know.
	ws = open(w.ada, d, "X", "y")
	w.cloud.mu.Lock()
	m := w.cloud.machines[d]
	delete(w.cloud.machines, d)
	w.cloud.mu.Unlock()
	ended("with its machine", ws, "no longer available")
	w.cloud.mu.Lock()
	w.cloud.machines[d] = m
	w.cloud.mu.Unlock()
	ws = open(w.ada, d)
	w.clock.Advance(time.Hour)
	w.want(200, w.ada, "DELETE", Base+"/deployments/"+string(d), nil)
	ended("with its deployment", ws, "no longer available")
	if _, status, _ := socketOf(t, site, w.ada, consolePath(d)); status != 409 {
		t.Errorf("after the end: %d", status)
	}
	d = w.running(w.ada)
	ws = open(w.ada, d)
	w.c.Events.EndWatches()
	ended("with the server", ws, "restarting")
}

// Without a proof that the machine is still the tenant's, nothing is relayed.
func TestAConsoleIsFenced(t *testing.T) {
	s := &consoleSession{start: time.Now()}
	if !s.fresh() {
		t.Error("a console that was just opened is fenced")
	}
	s.start = time.Now().Add(-consoleFence)
	if s.fresh() {
		t.Error("a console without a proof is not fenced")
	}
	s.proved.Store(int64(consoleFence))
	if !s.fresh() {
		t.Error("a console with a new proof is fenced")
	}
	s.start = s.start.Add(-consoleFence)
	n, err := counted{strings.NewReader("x"), &s.proved, s.fresh}.Read(make([]byte, 10))
	if n != 0 || err == nil {
		t.Errorf("a byte passed the fence: %d, %v", n, err)
	}
}

func TestAConsoleEndsWithoutInput(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	w.s.streams.idle, w.s.streams.recheck = 30*time.Millisecond, 5*time.Millisecond
	here, there := net.Pipe()
	w.cloud.consoles = func() (io.ReadWriteCloser, error) { return here, nil }
	go func() {
		for { // a kernel that never stops to write
			if _, err := io.WriteString(there, "[    0.1] x\r\n"); err != nil {
				return
			}
		}
	}()
	ws, status, text := socketOf(t, site, w.ada, consolePath(w.running(w.ada)))
	if ws == nil {
		t.Fatalf("%d %s", status, text)
	}
	if code, reason := closes(t, ws); code != websocket.StatusGoingAway || !strings.Contains(reason, "30 minutes") {
		t.Errorf("%d %s", code, reason)
	}
}
