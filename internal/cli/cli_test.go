package cli_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/cli"
	"github.com/billetcloud/billet/internal/version"
	"github.com/billetcloud/billet/test/servertest"
	"github.com/rogpeppe/go-internal/testscript"
)

// servers runs tests that start servers.
type servers struct{ m *testing.M }

// Run runs the tests and removes the server binary that was built for them.
func (s servers) Run() int { return servertest.Run(s.m) }

func TestMain(m *testing.M) {
	testscript.Main(servers{m}, map[string]func(){
		"billet": func() {
			system := cli.System{
				In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ(), Version: version.Info{Version: "test"},
			}
			os.Exit(cli.Main(context.Background(), system, os.Args[1:]))
		},
	})
}

// TestScripts runs each script as a shell session with its own server and an account with $5,000.
// BILLET_UPDATE=1 writes the output into the scripts.
//
// The scripts use these commands in addition to those of testscript:
//
//	advance 26m         moves the simulated clock
//	approve file        waits for the user code in the file and approves the device authorization
//	mask stdout got     writes stdout or stderr to a file with ids, amounts and times masked
//	pay file action     presses a button of the payment page in the file, or that a pipe gets
//	payer               replaces the API key by one that may top up
//	receiver 204 text   starts a server with this response, at $RECEIVER
//	signed-out          moves the API key from the environment to the file key
//	typed file cmd…     runs a command on a terminal and types the lines of the file
//	watch pipe          makes a named pipe, which gets the address of a payment page
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: os.Getenv("BILLET_UPDATE") != "",
		RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			s, err := startFor(e)
			if err != nil {
				return err
			}
			account, key := s.Key("5000", "--read-limit", "1000", "--write-limit", "1000", "--deploy-limit", "1000")
			e.Values["server"], e.Values["account"], e.Values["pipes"] = s, account, map[string]*watched{}
			e.Setenv("BILLET_URL", s.URL)
			e.Setenv("BILLET_API_KEY", key)
			docs, err := filepath.Abs("../../docs")
			if err != nil {
				return err
			}
			e.Setenv("DOCS", docs)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"advance": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: advance duration")
				}
				server(ts).Advance(args[0])
			},
			"billetd": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg {
					ts.Fatalf("billetd must succeed")
				}
				for i, a := range args {
					if strings.HasSuffix(a, ".json") {
						args[i] = ts.MkAbs(a)
					}
				}
				server(ts).Run(args...)
			},
			"approve": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: approve file")
				}
				ts.Check(approve(server(ts), ts.Value("account").(string), ts.MkAbs(args[0])))
			},
			"mask": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: mask stdout|stderr file")
				}
				text := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "$WORK")
				ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(masked(text, server(ts).URL)), 0o600))
			},
			"pay": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: pay file action")
				}
				ts.Check(pay(ts, ts.MkAbs(args[0]), args[1]))
			},
			"watch": watchCommand,
			"payer": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 0 {
					ts.Fatalf("usage: payer")
				}
				ts.Setenv("BILLET_API_KEY", server(ts).KeyOf(ts.Value("account").(string),
					"--scopes", "wallet:read,wallet:write", "--read-limit", "1000", "--write-limit", "1000"))
			},
			"receiver": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: receiver status text")
				}
				status, err := strconv.Atoi(args[0])
				ts.Check(err)
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(status)
					_, _ = io.WriteString(w, args[1])
				}))
				ts.Defer(s.Close)
				ts.Setenv("RECEIVER", s.URL)
			},
			"typed": typed,
			"signed-out": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 0 {
					ts.Fatalf("usage: signed-out")
				}
				ts.Check(os.WriteFile(ts.MkAbs("key"), []byte(ts.Getenv("BILLET_API_KEY")+"\n"), 0o600))
				ts.Setenv("BILLET_API_KEY", "")
			},
		},
	})
}

// startFor starts the server of a script.
func startFor(e *testscript.Env) (*servertest.Server, error) {
	args := []string{"--sim", "--webhook-allow-http", "--webhook-allow-networks", "127.0.0.0/8"}
	script := filepath.Base(e.WorkDir)
	if script == "script-topup" { // only a demo takes simulated payments
		args = append(args, "--demo")
	}
	t := e.T().(testing.TB)
	s := servertest.Prepare(t, t.TempDir(), args...)
	if script == "script-bill" {
		if err := startAtNine(s.Dir); err != nil {
			return nil, err
		}
	}
	s.Restart()
	return s, nil
}

// startAtNine makes the server's simulated clock begin at nine on the tenth of the next month, for
// a script in which a day must not end early. Others need the clock of the command line.
func startAtNine(dataDir string) error {
	now := time.Now().UTC()
	start := time.Date(now.Year(), now.Month()+1, 10, 9, 0, 0, 0, time.UTC)
	return os.WriteFile(filepath.Join(dataDir, "sim-clock.json"),
		fmt.Appendf(nil, `{"offsetNanoseconds":%d}`, start.Sub(now)), 0o600)
}

func server(ts *testscript.TestScript) *servertest.Server {
	return ts.Value("server").(*servertest.Server)
}

var masks = []struct {
	what *regexp.Regexp
	with func(string) string
}{
	{
		regexp.MustCompile(`\b([a-z]{3})_[0-9a-z]{26}\b`),
		func(s string) string { return s[:4] + strings.Repeat("x", 26) },
	},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), func(string) string { return "TIME" }},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d UTC`), func(string) string { return "0000-00-00 00:00 UTC" }},
	{regexp.MustCompile(`127\.\d+\.\d+\.\d+(_\d+)?`), func(string) string { return "127.x.x.x" }},
	{regexp.MustCompile(`port \d{4,5}\b`), func(string) string { return "port 00000" }},
	{regexp.MustCompile(`\b[B-Z]{4}-[B-Z]{4}\b`), func(string) string { return "BCDF-GHJK" }},
	{regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`), func(string) string { return "SHA256:FINGERPRINT" }},
	{regexp.MustCompile(`\$[\d,]+\.\d+`), func(string) string { return "$0.00" }},
	{regexp.MustCompile(`\b\d+ (s|min|days|h( \d+ min)?)\b`), func(string) string { return "0 s" }},
	{regexp.MustCompile(`   +`), func(string) string { return "  " }}, // column widths depend on all of these
}

// masked replaces what differs from run to run.
func masked(text, url string) string {
	text = strings.ReplaceAll(text, url, "http://SERVER")
	for _, m := range masks {
		text = m.what.ReplaceAllStringFunc(text, m.with)
	}
	return text
}
