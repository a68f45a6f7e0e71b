package dashboard_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/voltagepark/voltageparktest"
	"github.com/billetcloud/billet/test/mailtest"
	"github.com/billetcloud/billet/test/servertest"
)

// scriptLimit is how long one script may take on a slow and busy machine.
const scriptLimit = 10 * time.Minute

// tools returns the repository's root and the paths of Node.js and the browser. `make test`
// installs them and allows no skipping.
func tools(t *testing.T, browser bool) (root, node, chromium string) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes a minute and a browser")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	missing := func(what string) {
		t.Helper()
		if os.Getenv("BILLET_TEST_REQUIRE_BROWSER") != "" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	if chromium = os.Getenv("CHROMIUM"); chromium == "" {
		chromium, _ = exec.LookPath("chromium")
	}
	node, _ = exec.LookPath("node")
	switch {
	case node == "" || browser && chromium == "":
		missing("node or chromium is missing; `make test` installs both")
	case !exists(root, "internal/dashboard/dist/index.html") || !exists(root, "web/node_modules/playwright-core"):
		missing("the dashboard is not built; run `make build`")
	}
	return root, node, chromium
}

// run runs a script of web/ and logs its output.
func run(t *testing.T, root, node string, args []string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptLimit)
	defer cancel()
	script := exec.CommandContext(ctx, node, args...)
	script.Dir = filepath.Join(root, "web")
	script.Env = append(os.Environ(), env...)
	// On an interrupt it stops its server and its browser, too.
	script.Cancel = func() error { return script.Process.Signal(os.Interrupt) }
	script.WaitDelay = 30 * time.Second
	out, err := script.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// TestDashboard runs each script of web/test in a browser, against the server with its built pages.
func TestDashboard(t *testing.T) {
	root, node, chromium := tools(t, true)
	for _, name := range []string{
		"walk", "terminal", "pages", "load", "empty", "public", "pricing", "budgets", "billing", "team", "operator",
		"money", "credits", "machines", "health",
	} {
		t.Run(name, func(t *testing.T) {
			run(t, root, node, []string{"test/" + name + ".mjs"}, "BILLETD="+servertest.Binary(t), "CHROMIUM="+chromium)
		})
	}
}

// TestSignUp runs the script in which a stranger gets mails, from a mail server that keeps them.
func TestSignUp(t *testing.T) {
	root, node, chromium := tools(t, true)
	mails := mailtest.Start(t)
	run(t, root, node, []string{"test/signup.mjs"}, "BILLETD="+servertest.Binary(t), "CHROMIUM="+chromium,
		"SSL_CERT_FILE="+mails.CAFile, "MAIL_PORT="+strconv.Itoa(mails.Port), "MAIL_API="+mails.API,
		"MAIL_USER="+mailtest.User, "MAIL_PASSWORD="+mailtest.Password)
}

// TestOpening runs the script in which a bare server is set up and has its first tenant, with a
// mail server and a cloud.
func TestOpening(t *testing.T) {
	root, node, chromium := tools(t, true)
	mails := mailtest.Start(t)
	cloud := voltageparktest.Serve(t)
	settings := map[string]string{"private-addresses": "true"}
	maps.Copy(settings, cloud.Account().Settings)
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	go bootMachines(t.Context(), cloud)
	run(t, root, node, []string{"test/opening.mjs"}, "BILLETD="+servertest.Binary(t), "CHROMIUM="+chromium,
		"SSL_CERT_FILE="+mails.CAFile, "MAIL_PORT="+strconv.Itoa(mails.Port), "MAIL_API="+mails.API,
		"MAIL_USER="+mailtest.User, "MAIL_PASSWORD="+mailtest.Password,
		"CLOUD_URL="+cloud.Account().BaseURL, "CLOUD_KEY="+voltageparktest.Token, "CLOUD_SETTINGS="+string(text))
}

// bootMachines lets time pass at the cloud while it has a machine: a real one boots for minutes.
func bootMachines(ctx context.Context, cloud *voltageparktest.Cloud) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if cloud.MachineCount() > 0 {
			cloud.Advance(10 * time.Second)
		}
	}
}

// TestDashboardUnits runs the unit tests, which need no browser.
func TestDashboardUnits(t *testing.T) {
	root, node, _ := tools(t, false)
	run(t, root, node, []string{"node_modules/vitest/vitest.mjs", "run"})
}

func exists(root, path string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(path)))
	return err == nil
}
