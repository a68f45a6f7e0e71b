package e2e_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/lambda/lambdatest"
	"github.com/billetcloud/billet/internal/provider/latitude/latitudetest"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/shadeform/shadeformtest"
	"github.com/billetcloud/billet/internal/provider/spheron/spherontest"
	cloud "github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/voltagepark/voltageparktest"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/test/servertest"
)

// added returns the arguments that connect an account.
func added(a cloud.Account, more ...string) []string {
	args := append(
		[]string{
			"provider", "add", a.Slug, "--api-key-stdin", "--base-url", a.BaseURL, "--setting",
			"private-addresses=true",
		},
		more...,
	)
	for name, value := range a.Settings {
		args = append(args, "--setting", name+"="+value)
	}
	return args
}

// checked is one row of `billetd provider check`.
type checked struct{ verdict, what, detail string }

// readTable parses a table by its header.
func readTable(t *testing.T, out string) (rows []checked) {
	t.Helper()
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	what, took := strings.Index(lines[0], "CHECK"), strings.Index(lines[0], "DURATION")
	detail := strings.Index(lines[0], "DETAIL")
	if !strings.HasPrefix(lines[0], "RESULT") || what < 0 || took < what || detail < took {
		t.Fatalf("no table:\n%s", out)
	}
	for _, l := range lines[1:] {
		if strings.HasPrefix(l, "billetd: ") {
			continue
		}
		if len(l) < detail {
			l += strings.Repeat(" ", detail-len(l))
		}
		rows = append(
			rows,
			checked{strings.TrimSpace(l[:what]), strings.TrimSpace(l[what:took]), strings.TrimSpace(l[detail:])},
		)
	}
	return rows
}

// `billetd provider check` passes for every cloud that behaves as its adapter expects.
func TestProviderCheck_AllClouds(t *testing.T) {
	s := servertest.Prepare(t, t.TempDir())
	for _, a := range []cloud.Account{
		voltageparktest.Serve(t).Account(), spherontest.Serve(t).Account(), shadeformtest.Serve(t).Account(),
		latitudetest.Serve(t).Account(), lambdatest.Serve(t).Account(),
	} {
		s.RunWith(a.Credential, added(a)...)
		out, err := s.TryRun("provider", "check", a.Slug)
		rows := readTable(t, out)
		if err != nil || len(rows) < 6 || strings.Contains(out, a.Credential) {
			t.Errorf("%s: %v\n%s", a.Slug, err, out)
		}
		for _, r := range rows {
			if r.verdict != "agrees" && r != (checked{"skipped", "volumes", "this adapter has none"}) {
				t.Errorf("%s: %+v", a.Slug, r)
			}
		}
	}
}

// `billetd provider check` reports a difference in the row that it concerns, exits with 1, and
// never prints the key.
func TestProviderCheck_Differences(t *testing.T) {
	cloud := voltageparktest.Serve(t)
	cloud.Stuff(1)
	s := servertest.Prepare(t, t.TempDir())
	s.RunWith(voltageparktest.Token, added(cloud.Account())...)
	for name, c := range map[string]struct {
		is, calm func()
		want     checked // its detail is a substring
		well     string  // a row that still passes
	}{
		"a page instead of an answer": {
			func() { cloud.InjectFault(providertest.Fault{Kind: providertest.HTMLPage, Times: 3}) }, cloud.ClearFaults,
			checked{"failed", "offers can be listed", "an HTML page instead of a response"}, "machines can be listed",
		},
		"a key that was taken away": {
			func() { cloud.Revoke(true) }, func() { cloud.Revoke(false) },
			checked{"failed", "machines can be listed", "refused the API key"}, "offers can be listed",
		},
		"nothing to sell that is known": {
			func() { cloud.Nameless(true); cloud.Novelty("quantum_gpus") },
			func() { cloud.Nameless(false); cloud.Novelty("") },
			checked{
				"differs", "answers have no unknown fields", `a VM has the unknown field "quantum_gpus"`,
			}, "machines can be listed",
		},
	} {
		c.is()
		out, err := s.TryRun("provider", "check", "voltage-park")
		c.calm()
		found, well := false, false
		for _, r := range readTable(t, out) {
			found = found || r.verdict == c.want.verdict && r.what == c.want.what &&
				strings.Contains(r.detail, c.want.detail)
			well = well || r.verdict == "agrees" && r.what == c.well
		}
		if err == nil || err.Error() != "exit status 1" || !found || !well ||
			!strings.Contains(out, "differ from what the adapter expects") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if strings.Contains(out, voltageparktest.Token) {
			t.Errorf("%s: the key is told:\n%s", name, out)
		}
	}
	cloud.Revoke(true)
	s.Restart()
	await(t, "a complaint in the log", func() bool { return strings.Contains(s.Log(), "401") })
	checkNoKey(t, s, voltageparktest.Token)
}

func TestProviderCommands(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		cloud := voltageparktest.Serve(t)
		s := servertest.Prepare(t, t.TempDir(), append(args, "--sim")...)
		_, key := s.Key("1000", "--read-limit", "100000", "--write-limit", "1000")
		if out := s.Run("provider", "kinds"); !strings.Contains(out, "voltage-park") ||
			!strings.Contains(out, "region-names") {
			t.Errorf("kinds:\n%s", out)
		}
		if out := s.RunWith(
			"not the key", added(cloud.Account(), "--slug", "park", "--markup", "0")...,
		); !strings.Contains(out, "0.00%") || strings.Contains(out, "not the key") {
			t.Errorf("add:\n%s", out)
		}
		s.RunWith(voltageparktest.Token+"\n", "provider", "key", "park", "--api-key-stdin")
		if out := s.Run("provider", "list"); !strings.Contains(out, "park") ||
			!strings.Contains(out, cloud.Account().BaseURL) || strings.Contains(out, voltageparktest.Token) {
			t.Errorf("list:\n%s", out)
		}
		if out, err := s.TryRun("provider", "check", "park"); err != nil {
			t.Fatalf("with its new key: %v\n%s", err, out)
		}
		s.Restart()
		offer := func() (o map[string]any) {
			await(t, "the cloud's offers", func() bool {
				list := s.Call(
					key, http.MethodGet,
					"/offers?provider=park&available=true&instanceType=VM&gpuCount=1&search=h100", nil,
				).List
				if len(list) > 0 {
					o = list[0].(map[string]any)
				}
				return len(list) > 0
			})
			return o
		}
		if p := offer()["hourlyPrice"]; dollars(p).Cmp(big.NewRat(194, 100)) != 0 {
			t.Errorf("without a markup it costs %v", p)
		}

		// A markup applies from the next start.
		if out := s.Run("provider", "markup", "park", "--percent", "12.5"); !strings.Contains(out, "12.50%") {
			t.Errorf("markup:\n%s", out)
		}
		s.Stop()
		s.Restart()
		dear := big.NewRat(194*9, 800)
		await(t, "the new price", func() bool { return dollars(offer()["hourlyPrice"]).Cmp(dear) == 0 })

		// While there is a machine, the account cannot be removed: otherwise the machine could not
		// be ended.
		o := offer()
		me := newIdentity(t)
		a := s.Call(
			key, http.MethodPost, "/deployments",
			map[string]any{
				"offerId": o["id"], "operatingSystem": o["operatingSystems"].([]any)[0], "name": "kept",
				"ssh_public_key": me.public,
			},
		)
		if a.Status != http.StatusCreated {
			t.Fatalf("deploy: %d %s", a.Status, a.Body)
		}
		id := a.Data["id"].(string)
		if out, err := s.TryRun("provider", "remove", "park"); err == nil ||
			!strings.Contains(out, "park still has 1 deployments and 0 volumes") {
			t.Errorf("removed with a deployment there: %v\n%s", err, out)
		}
		await(t, "the machine", func() bool { return len(cloud.MachineIDs()) == 1 })
		if strings.Contains(s.Log(), "no longer configured but still has resources") {
			t.Errorf("all is well, and the log says\n%s", s.Log())
		}
		forth := func(d time.Duration) {
			cloud.Advance(d)
			s.Advance(d.String())
		}
		forth(time.Minute)
		s.Await(key, id, "running")
		forth(26 * time.Minute)
		if a := s.Call(key, http.MethodDelete, "/deployments/"+id, nil); a.Status != http.StatusOK {
			t.Fatalf("terminate: %d %s", a.Status, a.Body)
		}
		await(t, "the end", func() bool {
			forth(31 * time.Second)
			return s.Call(key, http.MethodGet, "/deployments/"+id, nil).Data["status"] == "terminated"
		})
		if left := cloud.MachineIDs(); len(left) != 0 {
			t.Errorf("left at the cloud: %v", left)
		}
		drain(t, s, forth)
		s.Run("provider", "remove", "park")
		s.Stop()
		s.Restart()
		checkRemoved(t, s, key, o["id"], id)
		checkNoKey(t, s, voltageparktest.Token)
	})
}

// drain drains the cloud, which no server may sell when it is removed.
func drain(t *testing.T, s *servertest.Server, forth func(time.Duration)) {
	t.Helper()
	if out, err := s.TryRun("provider", "remove", "park"); err == nil ||
		!strings.Contains(out, "Drain or pause park") {
		t.Errorf("removed while servers may sell from it: %v\n%s", err, out)
	}
	if out := s.Run("provider", "drain", "park"); !strings.Contains(out, "draining") {
		t.Errorf("drain:\n%s", out)
	}
	forth(time.Minute)
}

// checkRemoved checks that a cloud sells nothing after its removal, and that its ended deployment
// is kept.
func checkRemoved(t *testing.T, s *servertest.Server, key string, offer any, ended string) {
	t.Helper()
	if list := s.Call(key, http.MethodGet, "/offers?provider=park", nil).List; len(list) != 0 {
		t.Errorf("sold of a cloud that was removed: %v", list)
	}
	if a := s.Call(
		key, http.MethodPost, "/deployments",
		map[string]any{
			"offerId": offer, "operatingSystem": "TensorML 24 Everything", "name": "late",
			"ssh_public_key": newIdentity(t).public,
		},
	); a.Status/100 != 4 {
		t.Errorf("deployed at a cloud that was removed: %d %s", a.Status, a.Body)
	}
	if d := s.Call(key, http.MethodGet, "/deployments/"+ended, nil); d.Data["status"] != "terminated" ||
		d.Data["provider"] != "park" {
		t.Errorf("what was there once: %d %s", d.Status, d.Body)
	}
	if out := s.Run("provider", "list"); strings.Contains(out, "park") {
		t.Errorf("list:\n%s", out)
	}
}

// A simulated clock is refused together with a real cloud.
func TestSimulatorRefusesRealCloud(t *testing.T) {
	s := servertest.Prepare(t, t.TempDir(), "--sim")
	s.RunWith("a key", "provider", "add", "lambda", "--api-key-stdin", "--base-url", "https://cloud.example.com/api/v1")
	if s.TryRestart(0) ||
		!strings.Contains(s.Log(), "provider lambda is a real cloud, but --sim has a clock that can be moved") {
		t.Errorf("served, or said:\n%s", s.Log())
	}
}

// The database belongs to the secret key that encrypted the keys of clouds, which a command may
// print. With another key, or none, the error names keys by their fingerprints, prints none of
// them, and states what to do.
func TestSecretKeyCommand(t *testing.T) {
	key := func() (text, name string) {
		b := make([]byte, 32)
		_, _ = rand.Read(b)
		text = base64.StdEncoding.EncodeToString(b)
		box, err := secret.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return text, box.Name()
	}
	cloud := voltageparktest.Serve(t)
	ours, ourName := key()
	other, otherName := key()
	by := func(key string) []string { return []string{"--secret-key-command", "echo " + key} }
	s := servertest.Prepare(t, t.TempDir(), by(ours)...)
	s.RunWith(voltageparktest.Token, added(cloud.Account())...)
	check := func(args ...string) (string, error) {
		return s.TryRun(append([]string{"provider", "check", "voltage-park"}, args...)...)
	}
	told := func(what, out string) {
		t.Helper()
		for _, key := range []string{ours, other, voltageparktest.Token} {
			if strings.Contains(out, key) {
				t.Errorf("%s: a key is told:\n%s", what, out)
			}
		}
	}
	refused := func(what, out string, err error, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if err == nil || !strings.Contains(out, want) {
				t.Errorf("%s: %v, %q is not in\n%s", what, err, want, out)
			}
		}
		told(what, out)
	}
	if out, err := check(by(ours)...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	file := filepath.Join(s.Dir, secret.File)
	wayOn := []string{
		"Copy the secret.key that was beside the database to " + file + ", or give that key by BILLET_SECRET_KEY or " +
			"--secret-key-command",
		"`billetd secret-key replace`",
	}
	notTheOther := append(
		[]string{
			"the database belongs to the secret key " + ourName + ", but the configured key is " + otherName + ".",
		},
		wayOn...,
	)
	for name, c := range map[string]struct{ args, want []string }{
		"another": {by(other), notTheOther},
		"no key":  {by("nonsense"), []string{"--secret-key-command", "32 bytes in base64"}},
		"a refusal": {[]string{
			"--secret-key-command", "echo access denied >&2; exit 3",
		}, []string{"--secret-key-command", "exit status 3", "access denied"}},
		"no such tool": {[]string{
			"--secret-key-command", "no-such-tool-here",
		}, []string{"--secret-key-command", "no-such-tool-here"}},
	} {
		out, err := check(c.args...)
		refused(name, out, err, c.want...)
		out, err = s.TryRun(append(
			[]string{"account", "create", "--name", "unused"}, c.args...,
		)...) // also for a command that needs no key of a cloud
		refused(name+", an account", out, err, c.want...)
	}
	s.Restart()
	_, tenant := s.Key("100")
	await(t, "offers", func() bool {
		return len(s.Call(tenant, http.MethodGet, "/offers?provider=voltage-park", nil).List) > 0
	})
	s.Stop()
	told("served with its own", s.Log())

	serve := func() error {
		t.Helper()
		if s.TryRestart(0) {
			s.Stop()
			return nil
		}
		return errors.New("it ended")
	}
	s.Args = nil
	noFile := append(
		[]string{
			"the database belongs to the secret key " + ourName + ", but secret.key is not in " + s.Dir + ".",
		},
		wayOn...,
	)
	out, err := check()
	refused("no file", out, err, noFile...)
	err = serve()
	refused("served without a file", s.Log(), err, noFile...)
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was made for a database that has one: %v", err)
	}
	write := func(key string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(other)
	out, err = check()
	refused("another in the file", out, err, notTheOther...)
	write(ours)
	if out, err := check(); err != nil {
		t.Errorf("with its key in the file: %v\n%s", err, out)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}

	s.Args = by(other)
	err = serve()
	refused("served with another", s.Log(), err, notTheOther...)
	out, err = s.TryRun("secret-key", "replace")
	refused("replaced without a yes", out, err, "--yes")
	out, err = check()
	refused("after no yes", out, err, notTheOther...)
	if out = s.Run(
		"secret-key", "replace", "--yes",
	); out != "The database's secret key is now "+otherName+"; it was "+ourName+".\n" {
		t.Errorf("replaced: %q", out)
	}
	out, err = check(by(ours)...)
	refused(
		"the one before", out, err,
		"the database belongs to the secret key "+otherName+", but the configured key is "+ourName+".",
	)
	lost := []string{"voltage-park cannot be decrypted", "`billetd provider key voltage-park`", "--secret-key-command"}
	out, err = check()
	refused("what the one before sealed", out, err, lost...)
	if err := serve(); err != nil {
		t.Errorf("a key that cannot be decrypted keeps the server from starting: %v", err)
	}
	for _, want := range lost[:2] {
		if !strings.Contains(s.Log(), want) {
			t.Errorf("served with what the one before sealed: %q is not in\n%s", want, s.Log())
		}
	}
	s.RunWith(voltageparktest.Token, "provider", "key", "voltage-park", "--api-key-stdin")
	if out, err := check(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	s.Restart()
	for _, key := range []string{ours, other, voltageparktest.Token} {
		checkNoKey(t, s, key)
	}
	t.Setenv("BILLET_SECRET_KEY", ours)
	out, err = check()
	refused("two secret keys", out, err, "not both")
}
