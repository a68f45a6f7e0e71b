package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/coder/websocket"
)

// machine stands in for a machine's SSH: it greets, and repeats each line that it gets.
type machine struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
	// left gets a value for each connection that the other end has closed.
	left chan struct{}
}

func newMachine(t *testing.T, greeting string) *machine {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{Listener: l, left: make(chan struct{}, 100)}
	t.Cleanup(m.hangUp)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.conns = append(m.conns, c)
			m.mu.Unlock()
			go func() {
				_, _ = io.WriteString(c, greeting)
				for lines := bufio.NewReader(c); ; {
					line, err := lines.ReadString('\n')
					if err != nil {
						_ = c.Close()
						m.left <- struct{}{}
						return
					}
					_, _ = io.WriteString(c, "you said "+line)
				}
			}()
		}
	}()
	return m
}

func (m *machine) hangUp() {
	_ = m.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		_ = c.Close()
	}
}

func (m *machine) connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.conns)
}

// onMachine has all machines of the cloud answer there.
func (w *world) onMachine(m *machine) {
	at := m.Addr().(*net.TCPAddr)
	w.cloud.address, w.cloud.port = at.IP.String(), at.Port
}

// running is a deployment of the tenant that runs.
func (w *world) running(who tenant) id.ID {
	w.t.Helper()
	d := w.deploy(who)
	w.settle(d)
	if got := w.want(200, who, "GET", Base+"/deployments/"+string(d), nil).text("status"); got != "running" {
		w.t.Fatalf("it is %s", got)
	}
	return d
}

// terminalOf opens a terminal with headers in pairs. Either the socket or the refusal's status and
// text is returned.
func terminalOf(
	t *testing.T,
	site *httptest.Server,
	who tenant,
	d id.ID,
	headers ...string,
) (*websocket.Conn, int, string) {
	t.Helper()
	return socketOf(t, site, who, "/deployments/"+string(d)+"/terminal", headers...)
}

// socketOf is terminalOf for any operation that is a WebSocket.
func socketOf(
	t *testing.T, site *httptest.Server, who tenant, path string, headers ...string,
) (*websocket.Conn, int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	h := http.Header{}
	if who.secret != "" {
		h.Set("Authorization", "Bearer "+who.secret)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	ws, resp, err := websocket.Dial(
		ctx,
		site.URL+Base+path,
		&websocket.DialOptions{HTTPHeader: h},
	)
	if err == nil {
		t.Cleanup(func() { _ = ws.CloseNow() })
		return ws, resp.StatusCode, ""
	}
	if resp == nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return nil, resp.StatusCode, string(b)
}

// dialled is terminalOf for one that is expected to open.
func dialled(t *testing.T, site *httptest.Server, who tenant, d id.ID, headers ...string) *websocket.Conn {
	t.Helper()
	ws, status, text := terminalOf(t, site, who, d, headers...)
	if ws == nil {
		t.Fatalf("%d %s", status, text)
	}
	return ws
}

// hear reads messages until what came ends so.
func hear(t *testing.T, ws *websocket.Conn, end string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all strings.Builder
	for !strings.HasSuffix(all.String(), end) {
		kind, b, err := ws.Read(ctx)
		if err != nil || kind != websocket.MessageBinary {
			t.Fatalf("after %q: %v %v", all.String(), kind, err)
		}
		all.Write(b)
	}
	return all.String()
}

func say(t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	if err := ws.Write(t.Context(), websocket.MessageBinary, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// closes reads to the end, and returns with which code and words it came.
func closes(t *testing.T, ws *websocket.Conn) (websocket.StatusCode, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if _, _, err := ws.Read(ctx); err != nil {
			e, is := errors.AsType[websocket.CloseError](err)
			if !is {
				t.Fatalf("it broke off: %v", err)
			}
			return e.Code, e.Reason
		}
	}
}

func TestATerminalIsRelayedToItsOwnMachine(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	mine, theirs := newMachine(t, "SSH-2.0-mine\r\n"), newMachine(t, "SSH-2.0-theirs\r\n")
	w.onMachine(theirs)
	w.running(w.bob)
	w.onMachine(mine)
	d := w.running(w.ada)
	// What the request says of addresses counts for nothing.
	ws := dialled(t, site, w.ada, d, "Host", theirs.Addr().String(), "X-Forwarded-Host", theirs.Addr().String())
	hear(t, ws, "SSH-2.0-mine\r\n")
	say(t, ws, "hello\n")
	hear(t, ws, "you said hello\n")
	long := strings.Repeat("x", 1_000_000) + "\n" // more than a message may be elsewhere
	say(t, ws, long)
	if got := hear(t, ws, "x\n"); len(got) != len("you said ")+len(long) {
		t.Errorf("got %d bytes of %d", len(got), len(long))
	}
	same(t, "connections to the other's machine", theirs.connections(), 0)
	same(t, "to mine", mine.connections(), 1)
	mine.hangUp()
	code, reason := closes(t, ws)
	if code != websocket.StatusNormalClosure || !strings.Contains(reason, "machine") {
		t.Errorf("%d %s", code, reason)
	}
}

func TestATerminalIsRefused(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	m := newMachine(t, "SSH-2.0-mine\r\n")
	w.onMachine(m)
	d, pending := w.running(w.ada), w.deploy(w.ada)
	cookie := w.signIn(w.ada)
	origin := site.URL
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
		{"none such", w.ada, "dep_absent", 404, "NOT_FOUND", nil},
		{"a key that may only read", w.keyWith(w.ada, account.ReadDeployments), d, 403, "INSUFFICIENT_SCOPE", nil},
		{"not running", w.ada, pending, 409, "CONFLICT", nil},
		{"another site's page", tenant{}, d, 403, "NETWORK_NOT_ALLOWED",
			[]string{"Cookie", cookie, "Origin", "https://evil.example"}},
		{"another site's page, as the browser says", tenant{}, d, 403, "NETWORK_NOT_ALLOWED",
			[]string{"Cookie", cookie, "Origin", origin, "Sec-Fetch-Site", "cross-site"}},
		{"a page of no site", tenant{}, d, 403, "NETWORK_NOT_ALLOWED", []string{"Cookie", cookie, "Origin", "null"}},
		{"our own page", tenant{}, d, 101, "", []string{"Cookie", cookie, "Origin", origin}},
		{"our own page, as the browser says", tenant{}, d, 101, "", []string{"Cookie", cookie, "Origin", origin,
			"Sec-Fetch-Site", "same-origin"}},
		{"a program", w.ada, d, 101, "", nil},
	} {
		if _, status, text := terminalOf(t, site, c.who, c.d, c.headers...); status != c.status ||
			!strings.Contains(text, c.code) {
			t.Errorf("%s: %d %s, want %d %s", c.what, status, text, c.status, c.code)
		}
	}
	same(t, "connections to the machine", m.connections(), 3)
	at := Base + "/deployments/" + string(d) + "/terminal"
	if r := w.refused("INVALID_REQUEST", w.ada, "GET", at, nil); len(r.fields()) != 1 ||
		r.fields()[0] != "header.Upgrade" {
		t.Errorf("%s", r.body)
	}
	up := []option{header("Connection", "keep-alive, Upgrade"), header("Upgrade", "websocket")}
	w.refused("INVALID_REQUEST", w.ada, "GET", at, nil, append(up, header("Sec-WebSocket-Version", "8"))...)
	w.refused(
		"INVALID_REQUEST",
		w.ada,
		"GET",
		at,
		nil,
		append(up, header("Sec-WebSocket-Version", "13"), header("Sec-WebSocket-Key", "x"))...)
}

// The relay is for SSH. Whatever else listens at the address by now is none of it.
func TestATerminalReachesOnlySSH(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	w.onMachine(newMachine(t, "220 mail.example ESMTP\r\n"))
	d := w.running(w.ada)
	if _, status, text := terminalOf(t, site, w.ada, d); status != 503 || strings.Contains(text, "ESMTP") ||
		!strings.Contains(text, "SSH is not reachable") {
		t.Errorf("%d %s", status, text)
	}
	gone := newMachine(t, "")
	w.onMachine(gone)
	d = w.running(w.ada)
	gone.hangUp()
	if _, status, _ := terminalOf(t, site, w.ada, d); status != 503 {
		t.Errorf("no caller: %d", status)
	}
}

func TestATerminalEnds(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	w.onMachine(newMachine(t, "SSH-2.0-mine\r\n"))
	d, other := w.running(w.ada), w.running(w.ada)
	cookie := w.signIn(w.ada)
	key := w.keyWith(w.ada, account.WriteDeployments)
	byKey, bySession := dialled(t, site, key, other), dialled(t, site, tenant{}, other, "Cookie", cookie)
	withIt := dialled(t, site, w.ada, d)
	lasting := dialled(t, site, w.ada, other)
	for _, ws := range []*websocket.Conn{byKey, bySession, withIt, lasting} {
		hear(t, ws, "SSH-2.0-mine\r\n")
	}
	ended := func(what string, ws *websocket.Conn, code websocket.StatusCode, words string) {
		t.Helper()
		if got, reason := closes(t, ws); got != code || !strings.Contains(reason, words) {
			t.Errorf("%s: %d %s", what, got, reason)
		}
	}
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.c.Accounts.RevokeKey(ctx, tx, w.ada.account, key.key.ID)
		return err
	})
	ended("with its key", byKey, websocket.StatusPolicyViolation, "key or session")
	w.want(
		200,
		tenant{},
		"DELETE",
		AccountBase+"/sessions",
		nil,
		header("Cookie", cookie),
		header("Sec-Fetch-Site", "same-origin"),
	)
	ended("with its session", bySession, websocket.StatusPolicyViolation, "key or session")
	w.clock.Advance(time.Hour)
	w.want(200, w.ada, "DELETE", Base+"/deployments/"+string(d), nil)
	ended("with its deployment", withIt, websocket.StatusNormalClosure, "no longer running")
	say(t, lasting, "still here\n")
	hear(t, lasting, "you said still here\n")
	w.c.Events.EndWatches()
	ended("with the server", lasting, websocket.StatusServiceRestart, "restarting")
}

func TestATerminalEndsInSilence(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	w.s.streams.idle = 30 * time.Millisecond
	w.onMachine(newMachine(t, "SSH-2.0-mine\r\n"))
	ws := dialled(t, site, w.ada, w.running(w.ada))
	if code, reason := closes(t, ws); code != websocket.StatusGoingAway || !strings.Contains(reason, "30 minutes") {
		t.Errorf("%d %s", code, reason)
	}
}

// A network that drops everything tells neither end that the other is gone.
func TestTerminalOfAClientThatIsGoneEnds(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	w.s.streams.heartbeat, w.s.streams.pong = 5*time.Millisecond, 50*time.Millisecond
	m := newMachine(t, "SSH-2.0-mine\r\n")
	w.onMachine(m)
	d := w.running(w.ada)
	// This client answers pings only while it reads, which it never does.
	dialled(t, site, w.ada, d)
	select {
	case <-m.left:
	case <-time.After(patience):
		t.Fatal("the machine's connection is still open")
	}
}

func TestTerminalTellsThatTheConnectionLives(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	w.s.streams.heartbeat = 5 * time.Millisecond
	w.onMachine(newMachine(t, "SSH-2.0-mine\r\n"))
	ws := dialled(t, site, w.ada, w.running(w.ada))
	hear(t, ws, "SSH-2.0-mine\r\n")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 20 {
		if kind, b, err := ws.Read(ctx); err != nil || kind != websocket.MessageBinary || len(b) != 0 {
			t.Fatalf("%v %q %v", kind, b, err)
		}
	}
	say(t, ws, "hello\n")
	hear(t, ws, "you said hello\n")
}

func TestManyTerminalsButNotAnyNumber(t *testing.T) {
	w := newWorld(t)
	site := w.live()
	m := newMachine(t, "SSH-2.0-mine\r\n")
	w.onMachine(m)
	d := w.running(w.ada)
	var all []*websocket.Conn
	for range maxTerminals.one {
		all = append(all, dialled(t, site, w.ada, d))
	}
	if _, status, text := terminalOf(t, site, w.ada, d); status != 429 ||
		!strings.Contains(text, fmt.Sprint(maxTerminals.one)) {
		t.Errorf("one more: %d %s", status, text)
	}
	same(t, "connections to the machine", m.connections(), maxTerminals.one)
	if err := all[0].Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; {
		if ws, _, _ := terminalOf(t, site, w.ada, d); ws != nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("a place that was left is still taken")
		}
	}
}
