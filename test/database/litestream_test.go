package database

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// buildLitestream builds Litestream from the module in the directory litestream, which pins it.
// BILLET_TEST_DIR is where `make test` keeps what it builds.
func buildLitestream(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv("BILLET_TEST_DIR"), "litestream")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command("go", "build", "-o", dir+"/", "github.com/benbjohnson/litestream/cmd/litestream")
	cmd.Dir = "litestream"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build litestream: %v\n%s", err, out)
	}
	return filepath.Join(dir, "litestream")
}

// documented returns the command of docs/backup.md that begins with the words, as its arguments.
func documented(t *testing.T, begins string, replaced *strings.Replacer) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/backup.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^` + begins + ` [^#\n]*`).FindString(string(page))
	if line == "" {
		t.Fatalf("docs/backup.md has no command %q", begins)
	}
	return strings.Fields(replaced.Replace(line))
}

// TestLitestream replicates the database of a running server, kills the server and Litestream, and
// restores the replica, with the commands of docs/backup.md. Everything that was replicated is
// there, and the server is in recovery.
func TestLitestream(t *testing.T) {
	program := buildLitestream(t)
	s := servertest.Start(t)
	_, key := s.Key("100", "--write-limit", "1000", "--read-limit", "1000")
	replica := filepath.Join(t.TempDir(), "replica")
	places := strings.NewReplacer("/var/lib/billet", s.Dir, "s3://backups/billet", "file://"+replica)
	litestream := func(args []string) *exec.Cmd { return exec.Command(program, args[1:]...) }

	replicating := litestream(documented(t, "litestream replicate", places))
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	replicating.Stdout, replicating.Stderr = log, log
	if err := replicating.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func() {
		if !ended {
			ended = true
			_ = replicating.Process.Kill()
			_ = replicating.Wait()
		}
	}
	t.Cleanup(end)
	const accepted = 40
	for i := range accepted {
		k := publicKey(t)
		a := s.Call(key, http.MethodPost, "/ssh-keys", map[string]string{"name": fmt.Sprint("key-", i), "publicKey": k})
		if a.Status != http.StatusCreated {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	restore := documented(t, "litestream restore", places)
	s.Until("the last change is replicated", func() bool {
		copied := filepath.Join(t.TempDir(), "billet.db")
		to := append([]string{restore[0], "restore", "-o", copied}, restore[len(restore)-1])
		if litestream(to).Run() != nil {
			return false
		}
		text, err := os.ReadFile(copied)
		return err == nil && strings.Contains(string(text), fmt.Sprint("key-", accepted-1))
	})
	at := time.Now()
	s.Kill()
	end()
	for _, name := range []string{"billet.db", "billet.db-wal", "billet.db-shm"} {
		if err := os.Remove(filepath.Join(s.Dir, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if out, err := litestream(restore).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	when := strings.NewReplacer("2026-11-30T04:00:00Z", at.UTC().Format(time.RFC3339))
	s.Run(documented(t, "billetd recovery begin", when)[1:]...)
	s.Restart()
	a := s.Call(key, http.MethodGet, "/ssh-keys?limit=100", nil)
	if len(a.List) != accepted {
		t.Errorf("%d of %d keys are there: %d %s", len(a.List), accepted, a.Status, a.Body)
	}
	if a := s.Call(key, http.MethodPost, "/ssh-keys", map[string]string{}); a.Status != http.StatusServiceUnavailable {
		t.Errorf("a change in recovery: %d %s", a.Status, a.Body)
	}
	var status struct{ InRecovery bool }
	err = json.Unmarshal([]byte(s.Run("recovery", "status", "-o", "json")), &status)
	if err != nil || !status.InRecovery {
		t.Errorf("not in recovery: %v", err)
	}
	if out, err := s.TryRun("ledger", "verify"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
