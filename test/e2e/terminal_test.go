package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
	"github.com/coder/websocket"
	"golang.org/x/crypto/ssh"
)

// terminalTime limits a terminal's whole life in a test.
const terminalTime = time.Minute

// relayed logs in to a deployment over its terminal.
func (i identity) relayed(t *testing.T, s *servertest.Server, key string, d map[string]any) *ssh.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), terminalTime)
	t.Cleanup(cancel)
	ws, resp, err := websocket.Dial(ctx, s.URL+"/api/v1/inventory/deployments/"+d["id"].(string)+"/terminal",
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + key}}})
	if err != nil {
		t.Fatal(err, resp)
	}
	_, _, host, _, _, err := ssh.ParseKnownHosts([]byte(d["sshHostKeys"].([]any)[0].(string)))
	if err != nil {
		t.Fatal(err)
	}
	wire, channels, requests, err := ssh.NewClientConn(websocket.NetConn(
		ctx, ws, websocket.MessageBinary,
	), "", &ssh.ClientConfig{
		User: d["sshUser"].(string), Auth: []ssh.AuthMethod{
			ssh.PublicKeys(i.signer),
		}, HostKeyCallback: ssh.FixedHostKey(host), HostKeyAlgorithms: []string{host.Type()},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := ssh.NewClient(wire, channels, requests)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A relay session is on the tenant's own machine, and ends with the tenant's access.
func TestTerminalRelay(t *testing.T) {
	s := servertest.Start(t, "--sim")
	_, key := s.Key("1000")
	me := newIdentity(t)
	mine, other := s.Running(key, s.Deploy(key, "mine", me.public)), s.Running(key, s.Deploy(key, "other", me.public))
	me.run(t, other, "echo the other > /root/whose")
	me.run(t, mine, "echo mine > /root/whose")
	c := me.relayed(t, s, key, mine)
	session, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := session.CombinedOutput("cat /root/whose; head -c 3000000 /dev/zero | wc -c"); err != nil ||
		string(out) != "mine\n3000000\n" {
		t.Fatalf("%q %v", out, err)
	}
	if session, err = c.NewSession(); err != nil {
		t.Fatal(err)
	}
	if out, err := session.Output("head -c 3000000 /dev/zero"); err != nil || len(out) != 3_000_000 {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
	_, stranger := s.Key("1000")
	if a := s.Call(stranger, "GET", "/deployments/"+mine["id"].(string)+"/terminal", nil); a.Status != 404 {
		t.Errorf("another account: %d", a.Status)
	}
	s.Advance("30m")
	if a := s.Call(key, "DELETE", "/deployments/"+mine["id"].(string), nil); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	gone := make(chan struct{})
	go func() {
		_ = c.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(terminalTime):
		t.Fatal("the terminal outlived the deployment")
	}
}

// page is a page with the terminal's client, run by Node.js.
type page struct {
	t         *testing.T
	node, dir string
	url, key  string
}

func newPage(t *testing.T, s *servertest.Server, key string) page {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not there; `make test` installs it")
	}
	p := page{t: t, node: node, dir: t.TempDir(), url: s.URL, key: key}
	if out, err := exec.Command(
		filepath.Join("..", "..", "web", "ssh", "build.sh"), p.dir,
	).CombinedOutput(); err != nil {
		t.Fatalf("build the client: %v\n%s", err, out)
	}
	return p
}

// step is one action of the page's user.
type step struct {
	Write  string `json:"write,omitempty"`
	Bytes  bool   `json:"bytes,omitempty"`
	Resize []int  `json:"resize,omitempty"`
	Until  string `json:"until,omitempty"`
	Close  bool   `json:"close,omitempty"`
}

// seen is its result.
type seen struct {
	PrivateKey, PublicKey string
	Said                  string
	Phases                []struct {
		Phase, Fingerprint string
		Known              bool
	}
	End struct {
		Message  string
		ExitCode *int
	}
	Error struct{ Code, Message string }
}

func (p page) run(connect map[string]any, script ...step) seen {
	p.t.Helper()
	input, err := json.Marshal(map[string]any{
		"dir": p.dir, "key": p.key, "connect": connect, "script": append([]step{}, script...),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), terminalTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.node, "--experimental-websocket", "terminal.mjs")
	cmd.Stdin = bytes.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var result seen
	if err := cmd.Run(); err != nil {
		p.t.Fatalf("the page did not end: %v\n%s%s", err, out.String(), errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		p.t.Fatalf("%v in %s", err, out.String())
	}
	return result
}

// The client, as a browser runs it, through the relay, to a machine.
func TestTerminalClient(t *testing.T) {
	s := servertest.Start(t, "--sim")
	_, key := s.Key("1000")
	p := newPage(t, s, key)
	made := p.run(nil)
	d := s.Running(key, s.Deploy(key, "mine", made.PublicKey))
	options := func(change map[string]any) map[string]any {
		o := map[string]any{
			"url":  s.URL + "/api/v1/inventory/deployments/" + d["id"].(string) + "/terminal",
			"user": d["sshUser"], "hostKeys": d["sshHostKeys"],
			"privateKey": made.PrivateKey, "cols": 100, "rows": 30, "term": "xterm-256color",
		}
		for name, value := range change {
			o[name] = value
		}
		return o
	}
	got := p.run(options(nil),
		step{Write: "stty size; echo $TERM; id -un\n", Until: "\r\nroot\r\n"},
		step{
			Resize: []int{132, 50},
			Write:  `until [ "$(stty size)" = "$((25*2)) $((66*2))" ]; do sleep 0.1; done; stty size` + "\n",
			Bytes:  true, Until: "50 132",
		},
		step{Write: "echo grüße | wc -c\n", Until: "\r8\r\n"},
		step{Write: "exit 3\n"})
	if got.Error.Code != "" || !strings.Contains(got.Said, "30 100\r\nxterm-256color\r\nroot\r\n") ||
		got.End.ExitCode == nil || *got.End.ExitCode != 3 {
		t.Fatalf("%+v", got)
	}
	var phases []string
	for _, reached := range got.Phases {
		phases = append(phases, reached.Phase)
	}
	if strings.Join(phases, " ") != "connecting hostKey signingIn open" || !got.Phases[1].Known {
		t.Errorf("%+v", got.Phases)
	}
	first := p.run(options(map[string]any{"hostKeys": []string{}}), step{Close: true})
	var fingerprints []string
	for _, line := range d["sshHostKeys"].([]any) {
		_, _, key, _, _, err := ssh.ParseKnownHosts([]byte(line.(string)))
		if err != nil {
			t.Fatal(err)
		}
		fingerprints = append(fingerprints, ssh.FingerprintSHA256(key))
	}
	if first.Error.Code != "" || first.Phases[1].Known ||
		!slices.Contains(fingerprints, first.Phases[1].Fingerprint) || first.End.ExitCode != nil {
		t.Errorf("at first sight: %+v", first)
	}
	stranger := p.run(nil)
	for want, change := range map[string]map[string]any{
		"HOST_KEY_MISMATCH": {"hostKeys": []string{"x " + stranger.PublicKey}},
		"SIGN_IN_REFUSED":   {"privateKey": stranger.PrivateKey},
		"KEY_INVALID":       {"privateKey": "nonsense"},
		"UNREACHABLE":       {"url": s.URL + "/api/v1/inventory/deployments/dep_missing/terminal"},
	} {
		if got := p.run(options(change)); got.Error.Code != want || got.Error.Message == "" ||
			strings.Contains(got.Error.Message, "PRIVATE") {
			t.Errorf("%s: %+v", want, got)
		}
	}
}
