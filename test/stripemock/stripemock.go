package stripemock

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for the program to start.
const patience = time.Minute

// Start starts stripe-mock until the end of the test, and returns its URL.
func Start(t testing.TB) string {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	address := freeAddress(t)
	// Without an address for HTTPS, it would open one on all interfaces.
	cmd := exec.Command(program, "-http-addr", address, "-https-addr", freeAddress(t))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("stripe-mock:\n%s", text[max(0, len(text)-2000):])
		}
	})
	url := "http://" + address
	for deadline := time.Now().Add(patience); ; {
		r, err := http.NewRequest(http.MethodGet, url+"/v1/balance", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer sk_test_123")
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = resp.Body.Close()
			return url
		}
		select {
		case <-ended:
			t.Fatal("stripe-mock ended")
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("stripe-mock does not answer: %v", err)
		}
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// build builds stripe-mock once. BILLET_TEST_DIR is where `make test` keeps what it builds.
var build = sync.OnceValues(func() (string, error) {
	dir := os.Getenv("BILLET_TEST_DIR")
	if dir == "" {
		dir = os.TempDir()
	}
	dir, err := os.MkdirTemp(dir, "stripe-mock")
	if err != nil {
		return "", err
	}
	_, here, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "build", "-o", dir+"/", "github.com/stripe/stripe-mock")
	cmd.Dir = filepath.Join(filepath.Dir(here), "stripe-mock")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build stripe-mock: %w\n%s", err, out)
	}
	return filepath.Join(dir, "stripe-mock"), nil
})
