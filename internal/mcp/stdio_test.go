package mcp_test

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/mcp"
)

const hello = `{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-11-25",` +
	`"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

// raw is a session over pipes that sends lines unchanged.
type raw struct {
	t    *testing.T
	in   *io.PipeWriter
	out  *bufio.Reader
	done chan error
}

func serveRaw(t *testing.T, url string) *raw {
	t.Helper()
	c, err := client.New(client.Config{BaseURL: url, APIKey: "pk_live_test", MaxRetries: -1})
	if err != nil {
		t.Fatal(err)
	}
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	r := &raw{t: t, in: inW, out: bufio.NewReaderSize(outR, 1<<20), done: make(chan error, 1)}
	go func() {
		config := mcp.Config{Client: c, Version: "test", Now: time.Now, Log: slog.New(slog.DiscardHandler)}
		r.done <- mcp.Serve(t.Context(), config, inR, outW)
		_ = outW.Close()
	}()
	t.Cleanup(func() { _, _ = inW.Close(), outR.Close() })
	r.send(hello)
	r.expect(`"id":"hello"`, `"serverInfo"`)
	r.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return r
}

func (r *raw) send(line string) {
	r.t.Helper()
	if _, err := io.WriteString(r.in, line+"\n"); err != nil {
		r.t.Fatal(err)
	}
}

// expect reads one line, which must be JSON and contain all parts.
func (r *raw) expect(parts ...string) string {
	r.t.Helper()
	line, err := r.out.ReadString('\n')
	if err != nil {
		r.t.Fatalf("%v, after %q", err, line)
	}
	if !json.Valid([]byte(line)) {
		r.t.Fatalf("not JSON: %q", line)
	}
	for _, inner := range []string{"json:", "*mcp.", "unmarshal", "Go struct", `"code":0`} {
		if strings.Contains(line, inner) {
			r.t.Errorf("%.300s\nhas terms of Go", line)
		}
	}
	for _, p := range parts {
		if !strings.Contains(line, p) {
			r.t.Errorf("%.300s\ndoes not contain %s", line, p)
		}
	}
	return line
}

// TestInvalidMessages checks that invalid messages are answered as JSON-RPC 2.0 requires, and the
// session continues.
func TestInvalidMessages(t *testing.T) {
	r := serveRaw(t, "http://127.0.0.1:1")
	const parse, invalid, null = `"code":-32700`, `"code":-32600`, `"id":null`
	for _, c := range []struct {
		line string
		want []string // nil for no answer
	}{
		{`hello`, []string{parse, null}},
		{`{"jsonrpc":"2.0","id":1,"method":"ping"`, []string{parse, null}},
		{`{"jsonrpc":"2.0","id":1,"method":"ping"} {"jsonrpc":"2.0","id":2,"method":"ping"}`, []string{parse, null}},
		{"\xff\xfe", []string{parse, null}},
		{`Content-Length: 12`, []string{parse, null}},
		{`1`, []string{invalid, null}},
		{`null`, []string{invalid, null}},
		{`"ping"`, []string{invalid, null}},
		{`{}`, []string{invalid, null}},
		{`{"foo":"bar"}`, []string{invalid, null}},
		{`{"jsonrpc":"1.0","id":7,"method":"ping"}`, []string{invalid, `"id":7`}},
		{`{"jsonrpc":2.0,"id":7,"method":"ping"}`, []string{invalid, `"id":7`}},
		{`{"id":"seven","method":"ping"}`, []string{invalid, `"id":"seven"`}},
		{`{"jsonrpc":"2.0","id":7}`, []string{invalid, `"id":7`}},
		{`{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1,"message":""}}`, []string{invalid, `"id":7`}},
		{`{"jsonrpc":"2.0","id":7,"method":5}`, []string{invalid, `"id":7`}},
		{`{"jsonrpc":"2.0","id":7,"method":null}`, []string{invalid, `"id":7`}},
		{`{"jsonrpc":"2.0","id":7,"method":"ping","params":5}`, []string{invalid, `"id":7`}},
		{`{"jsonrpc":"2.0","id":null,"method":"ping"}`, []string{invalid, null}},
		{`{"jsonrpc":"2.0","id":{},"method":"ping"}`, []string{invalid, null}},
		{`{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, []string{invalid, null}},
		{`{"jsonrpc":"2.0","id":true,"method":"ping"}`, []string{invalid, null}},
		{`[]`, []string{invalid, null}},
		{`[1,2]`, []string{`[{"jsonrpc"`, invalid, null, `},{`}},
		{
			`[{"jsonrpc":"2.0","id":8,"method":"ping"},1,{"jsonrpc":"2.0","id":9,"method":"ping"}]`,
			[]string{`[{`, invalid, null, `"id":8`, `"id":9`},
		},
		{`[{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}]`, nil},
		{`{"jsonrpc":"2.0","id":7,"method":"no/such"}`, []string{`"code":-32601`, `"id":7`}},
		{`{"jsonrpc":"2.0","id":7,"method":""}`, []string{`"code":-32601`, `"id":7`}},
		{
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"no_such"}}`,
			[]string{`"code":-32602`, `"id":7`},
		},
		{`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":[1]}`, []string{`"code":-3260`, `"id":7`}},
		{`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":5}}`, []string{`"code":-3260`, `"id":7`}},
		{
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_offer","arguments":[]}}`,
			[]string{`INVALID_REQUEST`, `"id":7`},
		},
		{`{"jsonrpc":"2.0","id":7,"method":"tools/call"}`, []string{`"code":-3260`, `"id":7`}},
		{`{"jsonrpc":"2.0","method":"no/such/notification"}`, nil},
		{`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}`, nil},
		{`{"jsonrpc":"2.0","method":"notifications/cancelled","params":5}`, []string{invalid, null}},
		{`{"jsonrpc":"2.0","id":99,"result":{}}`, nil},
		{`{"jsonrpc":"2.0","id":99,"error":{"code":1,"message":"no"}}`, nil},
		{``, nil},
		{"   \r", nil},
		{strings.Repeat("x", 5<<20), []string{invalid, null}},
		{`{"jsonrpc":"2.0","id":7,"method":"initialize"}`, []string{`"id":7`, `"error"`}},
		{
			`{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":5}}`,
			[]string{`"id":7`, `"code":-32602`},
		},
		{`{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"cursor":5}}`, []string{`"id":7`, `"code":-32602`}},
		{
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_wallet","_meta":5}}`,
			[]string{`"id":7`, `"code":-32602`},
		},
	} {
		r.send(c.line)
		if c.want != nil {
			r.expect(c.want...)
		}
		r.send(`{"jsonrpc":"2.0","id":"still","method":"ping"}`)
		if line := r.expect(`"id":"still"`, `"result":{}`); t.Failed() {
			t.Fatalf("%.100q: %s", c.line, line)
		}
	}
	_ = r.in.Close()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

// TestPendingRequestsAreAnswered checks that a request in progress is answered before the session
// ends. Its id cannot be used again until then.
func TestPendingRequestsAreAnswered(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"success":true,"data":{"currency":"USD","activeDeployments":[],"volumes":[]}}`)
	}))
	defer s.Close()
	r := serveRaw(t, s.URL)
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_wallet","arguments":{}}}`)
	<-asked
	r.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	r.expect(`"code":-32600`, `"id":1`, "in progress")
	r.send("this is not a message")
	r.expect(`"code":-32700`)
	_ = r.in.Close()
	close(answer)
	r.expect(`"id":1`, `"currency":"USD"`)
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(r.out); len(rest) > 0 || err != nil {
		t.Errorf("%q %v", rest, err)
	}
}
