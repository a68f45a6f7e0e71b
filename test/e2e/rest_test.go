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
	// soon is how long the first start on an empty data directory may take until the first answer, the demo account included.
	soon = time.Second
	// small is how much memory a server with the simulator may keep when nothing is asked of it, in kB.
	small = 60_000
)

// The best of some starts counts, and where more processes want to run than there are processors, each gets so much less of one.
func TestTheFirstAnswerComesSoon(t *testing.T) {
	best, limit := time.Hour, soon
	for try := 0; try < 10 && best > limit; try++ {
		t.Run(fmt.Sprint("start-", try), func(t *testing.T) {
			began := time.Now()
			s := servertest.Start(t, "--sim", "--demo")
			if a := s.Call("", "GET", "=/api/v1/inventory", nil); a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			best = min(best, time.Since(began))
			limit = time.Duration(float64(soon) * max(1, load()/float64(runtime.NumCPU())))
		})
	}
	t.Logf("from the start to the first answer: %s", best.Round(time.Millisecond))
	if best > limit {
		t.Errorf("the best of ten starts took %s until the first answer, want %s", best, limit)
	}
}

// load is how many processes wanted to run in the last minute, on the average; 0 where the system does not tell.
func load() (n float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	_, _ = fmt.Sscan(string(text), &n)
	return n
}

func TestAServerAtRestIsSmall(t *testing.T) {
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
		if kept = resident(t, string(text)); kept < small {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("at rest it keeps %d kB, want less than %d", kept, small)
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

// resident is VmRSS of a /proc/<pid>/status, in kB.
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
