package e2e_test

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

const (
	// firstAnswer limits the time from the first start on an empty data directory, with a demo
	// account, to the first answer.
	firstAnswer = time.Second
	// idleMemory limits the memory of an idle server with the simulator, in kB.
	idleMemory = 60_000
)

// The best of several starts counts. If more processes are runnable than there are processors, the
// limit grows accordingly.
func TestStartTime(t *testing.T) {
	best, limit := time.Hour, firstAnswer
	for try := 0; try < 10 && best > limit; try++ {
		t.Run(fmt.Sprint("start-", try), func(t *testing.T) {
			began := time.Now()
			s := servertest.Start(t, "--sim", "--demo")
			if a := s.Call("", "GET", "=/api/v1/inventory", nil); a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			best = min(best, time.Since(began))
			limit = time.Duration(float64(firstAnswer) * max(1, load()/float64(runtime.NumCPU())))
		})
	}
	t.Logf("from the start to the first answer: %s", best.Round(time.Millisecond))
	if best > limit {
		t.Errorf("the best of ten starts took %s until the first answer, want %s", best, limit)
	}
}

// load returns the average number of runnable processes in the last minute; 0 if the system does
// not report it.
func load() (n float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	_, _ = fmt.Sscan(string(text), &n)
	return n
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

var rss = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// resident parses VmRSS of /proc/<pid>/status, in kB.
func resident(t *testing.T, status string) (kB int) {
	t.Helper()
	m := rss.FindStringSubmatch(status)
	if m == nil {
		t.Fatalf("no VmRSS in\n%s", status)
	}
	if _, err := fmt.Sscan(m[1], &kB); err != nil {
		t.Fatal(err)
	}
	return kB
}
