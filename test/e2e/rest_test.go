package e2e_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// idleMemory limits the memory that an idle server with the simulator holds of its own, in kB. The
// pages of the program's file, another 40 MB, are not counted: the system shares them, drops them
// under pressure, and maps more of them where more of the file happens to be cached.
const idleMemory = 36_000

// BenchmarkFirstAnswer is the time from the first start on an empty data directory, with a demo
// account, to the first answer.
func BenchmarkFirstAnswer(b *testing.B) {
	servertest.Binary(b)
	for b.Loop() {
		s := servertest.Start(b, "--sim", "--demo")
		if a := s.Call("", "GET", "=/api/v1/inventory", nil); a.Status != 200 {
			b.Fatalf("%d %s", a.Status, a.Body)
		}
		b.StopTimer()
		s.Kill()
		b.StartTimer()
	}
}

func TestIdleMemory(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("only Linux tells what a process keeps in this way")
	}
	s := servertest.Start(t, "--sim", "--demo")
	_, key := s.Key("1000")
	for _, path := range []string{"/offers?limit=100", "/gpu-types", "/wallet", "=/openapi.json", "=/docs"} {
		if a := s.Call(key, "GET", path, nil); a.Status != 200 {
			t.Fatalf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	kept := 0
	for end := time.Now().Add(2 * time.Minute); ; {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
		if err != nil {
			t.Fatal(err)
		}
		if kept = resident(t, string(text)); kept < idleMemory {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("at rest it keeps %d kB, want less than %d", kept, idleMemory)
		}
		select {
		case <-s.Ended():
			t.Fatalf("it ended:\n%s", s.Log())
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Logf("%d kB", kept)
}

var rssAnon = regexp.MustCompile(`(?m)^RssAnon:\s+(\d+) kB$`)

// resident parses RssAnon of /proc/<pid>/status, in kB.
func resident(t *testing.T, status string) (kB int) {
	t.Helper()
	m := rssAnon.FindStringSubmatch(status)
	if m == nil {
		t.Fatalf("no RssAnon in\n%s", status)
	}
	if _, err := fmt.Sscan(m[1], &kB); err != nil {
		t.Fatal(err)
	}
	return kB
}
