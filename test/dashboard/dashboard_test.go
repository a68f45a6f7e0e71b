package dashboard_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/billetd"
)

// long is how long the walk may take on a slow and busy machine.
const long = 10 * time.Minute

// TestAWalkThroughTheDashboard needs the built pages, a browser, and what the pages are built with. `make test` sees to
// all three and allows no skipping.
func TestAWalkThroughTheDashboard(t *testing.T) {
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
	chromium := os.Getenv("CHROMIUM")
	if chromium == "" {
		chromium, _ = exec.LookPath("chromium")
	}
	node, _ := exec.LookPath("node")
	switch {
	case node == "" || chromium == "":
		missing("node or chromium is not there; `make test` installs both")
	case !exists(root, "internal/dashboard/dist/index.html") || !exists(root, "web/node_modules/playwright-core"):
		missing("the pages are not built; `make build` builds them")
	}

	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	walk := exec.CommandContext(ctx, node, "test/walk.mjs")
	walk.Dir = filepath.Join(root, "web")
	walk.Env = append(os.Environ(), "BILLETD="+billetd.Binary(t), "CHROMIUM="+chromium)
	// Asked to end, it ends its server and its browser, too.
	walk.Cancel = func() error { return walk.Process.Signal(os.Interrupt) }
	walk.WaitDelay = 30 * time.Second
	out, err := walk.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

func exists(root, path string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(path)))
	return err == nil
}
